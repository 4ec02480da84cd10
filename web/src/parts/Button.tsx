// Buttons. One primary a view; `loading` keeps the width and says "busy" to screen readers.
import { RiLoader4Line } from "@remixicon/react";
import type { ButtonHTMLAttributes, ComponentType, MouseEvent, ReactNode, Ref } from "react";
import { Link, type LinkProps } from "react-router";
import { cn } from "@/lib/cn";

export type Icon = ComponentType<{ size?: number | string; className?: string }>;
export type ButtonKind = "primary" | "secondary" | "quiet" | "danger";
export type ButtonSize = "md" | "sm";

const KINDS: Record<ButtonKind, string> = {
  primary: "bg-accent text-on-accent hover:bg-accent-strong shadow-low",
  secondary: "bg-card text-ink border border-line hover:border-line-strong shadow-low",
  quiet: "text-accent hover:bg-accent-wash",
  danger: "bg-bad text-on-bad hover:bg-bad-strong shadow-low",
};

function look(kind: ButtonKind, size: ButtonSize, className?: string): string {
  return cn(
    "target relative inline-flex items-center justify-center gap-2 rounded-md font-semibold whitespace-nowrap select-none",
    "transition-colors disabled:cursor-not-allowed disabled:opacity-50 aria-disabled:cursor-default aria-disabled:opacity-50",
    size === "sm" ? "px-3 text-sm" : "px-4 py-1.5 text-base",
    KINDS[kind],
    className,
  );
}

interface Common {
  kind?: ButtonKind;
  size?: ButtonSize;
  icon?: Icon;
  children: ReactNode;
}

export interface ButtonProps extends Common, Omit<ButtonHTMLAttributes<HTMLButtonElement>, "children"> {
  loading?: boolean;
  ref?: Ref<HTMLButtonElement>;
}

export function Button({ kind = "secondary", size = "md", icon: IconPart, loading = false, children, className, onClick, ...rest }: ButtonProps) {
  // While it is busy it takes no clicks, but keeps the keyboard: a disabled button would lose it.
  const click = loading ? (event: MouseEvent) => event.preventDefault() : onClick;
  return (
    <button type="button" {...rest} onClick={click} className={look(kind, size, className)} aria-disabled={loading || undefined} aria-busy={loading || undefined}>
      <span className={cn("inline-flex items-center gap-2", loading && "opacity-0")}>
        {IconPart && <IconPart size={18} className="-ml-0.5 shrink-0" />}
        {children}
      </span>
      {loading && <RiLoader4Line size={18} className="absolute animate-spin" aria-hidden="true" />}
    </button>
  );
}

/** A link that looks like a button. `href` leaves the page (downloads, sign-in); `to` stays within. */
export function ButtonLink({ kind = "secondary", size = "md", icon: IconPart, children, className, ...rest }: Common & LinkProps) {
  return (
    <Link {...rest} className={look(kind, size, className)}>
      {IconPart && <IconPart size={18} className="-ml-0.5 shrink-0" />}
      {children}
    </Link>
  );
}

export interface IconButtonProps extends Omit<ButtonHTMLAttributes<HTMLButtonElement>, "children"> {
  /** What it does, in words: the name for screen readers and the hint for the mouse. */
  label: string;
  icon: Icon;
  kind?: "quiet" | "secondary";
  ref?: Ref<HTMLButtonElement>;
}

export function IconButton({ label, icon: IconPart, kind = "quiet", className, ...rest }: IconButtonProps) {
  return (
    <button
      type="button"
      title={label}
      aria-label={label}
      {...rest}
      className={cn(
        "target inline-flex aspect-square items-center justify-center rounded-md text-soft transition-colors hover:bg-sunken hover:text-ink",
        "disabled:cursor-not-allowed disabled:opacity-50",
        kind === "secondary" && "border border-line bg-card shadow-low",
        className,
      )}
    >
      <IconPart size={20} />
    </button>
  );
}

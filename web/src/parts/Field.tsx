// Form fields. `Field` wires label, help and error to whatever control is inside; the controls take the rest.
import { RiArrowDownSLine, RiEyeLine, RiEyeOffLine } from "@remixicon/react";
import { Switch as RadixSwitch } from "radix-ui";
import { createContext, use, useId, useState, type InputHTMLAttributes, type ReactNode, type Ref, type SelectHTMLAttributes, type TextareaHTMLAttributes } from "react";
import { cn } from "@/lib/cn";
import { useTyped } from "@/lib/typed";
import { IconButton } from "./Button";

interface Wiring {
  id: string;
  describedBy: string | undefined;
  invalid: boolean;
}
const Wired = createContext<Wiring | null>(null);

/** The ids a control of your own inside a Field must carry. */
export function useField(): { id?: string; "aria-describedby"?: string; "aria-invalid"?: true } {
  const wiring = use(Wired);
  if (!wiring) return {};
  return { id: wiring.id, "aria-describedby": wiring.describedBy, "aria-invalid": wiring.invalid || undefined };
}

export function Field({ label, help, error, optional, hideLabel, children, className }: {
  label: string; help?: ReactNode; error?: string | null; optional?: boolean; hideLabel?: boolean; children: ReactNode; className?: string;
}) {
  const id = useId();
  const describedBy = cn(help ? `${id}-help` : null, error ? `${id}-error` : null) || undefined;
  return (
    <div className={cn("min-w-0", className)}>
      <label htmlFor={id} className={hideLabel ? "sr-only" : "mb-1 block font-medium"}>
        {label}
        {optional && <span className="font-normal text-soft"> (optional)</span>}
      </label>
      <Wired value={{ id, describedBy, invalid: Boolean(error) }}>{children}</Wired>
      {help && <div id={`${id}-help`} className="mt-1 text-sm text-soft">{help}</div>}
      {error && <p id={`${id}-error`} role="alert" className="mt-1 text-sm font-medium text-bad">{error}</p>}
    </div>
  );
}

const BOX = cn(
  "target w-full min-w-0 rounded-md border border-line-strong/70 bg-card px-3 py-1.5 text-base text-ink placeholder:text-soft",
  "hover:border-line-strong aria-invalid:border-bad disabled:opacity-50 pointer-coarse:text-[1rem]",
);

export function TextInput({ className, ...rest }: InputHTMLAttributes<HTMLInputElement> & { ref?: Ref<HTMLInputElement> }) {
  return <input type="text" {...useField()} {...rest} className={cn(BOX, className)} />;
}

export function TextArea({ className, ...rest }: TextareaHTMLAttributes<HTMLTextAreaElement>) {
  return <textarea rows={4} {...useField()} {...rest} className={cn(BOX, "resize-y", className)} />;
}

/** A secret: hidden until asked, never filled in or remembered by the browser. */
export function SecretInput({ className, ...rest }: InputHTMLAttributes<HTMLInputElement>) {
  const [shown, setShown] = useState(false);
  return (
    <div className="relative">
      <TextInput autoComplete="off" spellCheck={false} {...rest} type={shown ? "text" : "password"} className={cn("pr-12 font-mono", className)} />
      <IconButton
        label={shown ? "Hide" : "Show"}
        icon={shown ? RiEyeOffLine : RiEyeLine}
        aria-pressed={shown}
        onClick={() => setShown(!shown)}
        className="absolute inset-y-0 right-0"
      />
    </div>
  );
}

export interface Option {
  value: string;
  label: string;
}

/** The browser's own select: works with every keyboard, screen reader and phone. */
export function Select({ options, className, ...rest }: SelectHTMLAttributes<HTMLSelectElement> & { options: readonly Option[] }) {
  return (
    <div className={cn("relative", className)}>
      <select {...useField()} {...rest} className={cn(BOX, "appearance-none pr-9")}>
        {options.map((each) => <option key={each.value} value={each.value}>{each.label}</option>)}
      </select>
      <RiArrowDownSLine size={18} className="pointer-events-none absolute inset-y-0 right-2.5 my-auto text-soft" />
    </div>
  );
}

/** On or off, at once. `label` stands beside it; `hideLabel` keeps it for screen readers. */
export function Switch({ checked, onChange, label, hideLabel, disabled, help }: {
  checked: boolean; onChange: (checked: boolean) => void; label: string; hideLabel?: boolean; disabled?: boolean; help?: ReactNode;
}) {
  const id = useId();
  return (
    <div className="flex items-start gap-3">
      <span className="target inline-flex items-center">
        <RadixSwitch.Root
          id={id}
          checked={checked}
          onCheckedChange={onChange}
          disabled={disabled}
          aria-describedby={help ? `${id}-help` : undefined}
          className="relative h-6 w-10 shrink-0 rounded-full bg-line-strong transition-colors disabled:opacity-50 data-[state=checked]:bg-accent"
        >
          <RadixSwitch.Thumb className="block size-5 translate-x-0.5 rounded-full bg-raised shadow-low transition-transform data-[state=checked]:translate-x-[1.125rem]" />
        </RadixSwitch.Root>
      </span>
      <div className={cn("min-w-0 py-1.5 pointer-coarse:py-2.5", hideLabel && "sr-only")}>
        <label htmlFor={id} className="block">{label}</label>
        {help && <div id={`${id}-help`} className="text-sm text-soft">{help}</div>}
      </div>
    </div>
  );
}

export function Checkbox({ label, hideLabel, className, ...rest }: Omit<InputHTMLAttributes<HTMLInputElement>, "type"> & { label: string; hideLabel?: boolean }) {
  return (
    <label className={cn("target inline-flex cursor-pointer items-center gap-2.5", className)}>
      <input type="checkbox" {...rest} className="size-4.5 shrink-0 accent-accent" />
      <span className={hideLabel ? "sr-only" : undefined}>{label}</span>
    </label>
  );
}

export interface Range {
  /** Days as YYYY-MM-DD; empty means open. */
  from: string;
  to: string;
}

/** Two days, both included. */
export function DateRange({ value, onChange, label, error, min, max }: {
  value: Range; onChange: (range: Range) => void; label: string; error?: string | null; min?: string; max?: string;
}) {
  const [from, setFrom] = useTyped(value.from, (day) => onChange({ ...value, from: day }));
  const [to, setTo] = useTyped(value.to, (day) => onChange({ ...value, to: day }));
  const wrong = error ?? (value.from && value.to && value.from > value.to ? "The first day is after the last one." : null);
  return (
    <fieldset className="min-w-0">
      <legend className="mb-1 font-medium">{label}</legend>
      <div className="grid grid-cols-1 gap-3 min-[420px]:grid-cols-2">
        <Field label="From" error={wrong}>
          <TextInput type="date" value={from} min={min} max={value.to || max} onChange={(event) => setFrom(event.target.value)} />
        </Field>
        <Field label="To">
          <TextInput type="date" value={to} min={value.from || min} max={max} onChange={(event) => setTo(event.target.value)} />
        </Field>
      </div>
    </fieldset>
  );
}

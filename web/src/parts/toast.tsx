// Toasts: short, polite, never the only place where something is said. Errors say what to do next and stay longer.
import { toast as sonner, Toaster as Sonner } from "sonner";
import { asProblem } from "@/api/client";
import { useShownTheme } from "@/theme";

interface Action {
  label: string;
  onClick: () => void;
}
interface Options {
  /** A second line. */
  detail?: string;
  action?: Action;
  /** Toasts of the same id replace each other. */
  id?: string;
}

const of = ({ detail, action, id }: Options, duration: number) => ({
  description: detail,
  action: action && { label: action.label, onClick: action.onClick },
  id,
  duration,
});

export const toast = {
  /** It is done: "8 new calls imported". */
  success: (title: string, options: Options = {}) => sonner.success(title, of(options, 6000)),
  /** Good to know: "Skipped 3 duplicates". */
  info: (title: string, options: Options = {}) => sonner.info(title, of(options, 6000)),
  /** It went wrong; `detail` says what to do next. */
  error: (title: string, options: Options = {}) => sonner.error(title, of(options, 12_000)),
  /** An ApiProblem (or whatever was thrown) under a title that says what did not work. */
  problem: (title: string, error: unknown, options: Omit<Options, "detail"> = {}) =>
    sonner.error(title, of({ ...options, detail: asProblem(error).sentence }, 12_000)),
};

export function Toaster() {
  return (
    <Sonner
      theme={useShownTheme()}
      position="bottom-right"
      closeButton
      visibleToasts={4}
      expand
      offset={{ bottom: "1.25rem", right: "1.25rem" }}
      mobileOffset={{ bottom: "5rem" }}
      toastOptions={{
        unstyled: true,
        classNames: {
          toast: "relative flex w-(--width) max-w-full items-start gap-3 rounded-md border border-line bg-raised p-3.5 pr-9 text-base text-ink shadow-high",
          icon: "mt-0.5 [&>svg]:size-5 group-data-[type=x]:hidden",
          title: "font-semibold",
          description: "mt-0.5 text-sm text-soft",
          content: "min-w-0 flex-1",
          actionButton: "target shrink-0 self-center rounded-md px-2.5 text-sm font-semibold text-accent hover:bg-accent-wash",
          closeButton: "absolute top-2.5 right-2.5 text-soft hover:text-ink [&>svg]:size-3.5 p-1",
          success: "[&_[data-icon]]:text-good",
          error: "[&_[data-icon]]:text-bad",
          info: "[&_[data-icon]]:text-info",
        },
      }}
    />
  );
}

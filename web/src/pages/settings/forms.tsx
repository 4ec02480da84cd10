// What the forms of Settings and Admin share: sending with one thing at a time, problems at their fields, choices with a sentence.
import { useEffect, useId, useRef, useState, type ReactNode } from "react";
import { asProblem, type ApiProblem } from "@/api/client";
import { Button, Checkbox, Dialog, Problem } from "@/parts";

/** Runs `work` once at a time; what went wrong is kept as an ApiProblem until the next try. */
export function useSending() {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<ApiProblem | null>(null);
  const send = async (work: () => Promise<unknown>): Promise<boolean> => {
    setBusy(true);
    setProblem(null);
    try {
      await work();
      return true;
    } catch (error) {
      setProblem(asProblem(error));
      return false;
    } finally {
      setBusy(false);
    }
  };
  return { busy, problem, send, clear: () => setProblem(null) };
}

/** The sentence of `problem` if it is about the field `name`. */
export function atField(problem: ApiProblem | null, name: string): string | null {
  if (!problem) return null;
  if (problem.field === name || problem.field?.startsWith(`${name}.`)) return problem.sentence;
  return null;
}

/** The sentence of `problem` if it is about none of the fields that show theirs. */
export const elsewhere = (problem: ApiProblem | null, shown: readonly string[]): string | null =>
  problem && !shown.some((name) => atField(problem, name)) ? problem.sentence : null;

/** A dialog that is a form: Enter sends it, Escape leaves it. */
export function FormDialog({ open, onClose, title, lead, action, busy, disabled, error, onSubmit, children }: {
  open: boolean; onClose: () => void; title: string; lead?: ReactNode; action: string; busy: boolean; disabled?: boolean; error: string | null;
  onSubmit: () => void; children: ReactNode;
}) {
  const id = useId();
  const form = useRef<HTMLFormElement>(null);
  const toWrong = () => requestAnimationFrame(() => form.current?.querySelector<HTMLElement>("[aria-invalid]")?.focus());
  useEffect(() => {
    if (!busy) toWrong(); // an answer has come: what it finds wrong is where one goes on
  }, [busy]);
  return (
    <Dialog
      open={open}
      onOpenChange={(next) => !next && onClose()}
      title={title}
      lead={lead}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" form={id} loading={busy} disabled={disabled}>{action}</Button>
        </>
      }
    >
      <form
        ref={form}
        id={id}
        noValidate
        className="grid gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          if (busy || disabled) return;
          onSubmit();
          toWrong();
        }}
      >
        {children}
        <div aria-live="polite">{error && <Problem sentence={error} />}</div>
      </form>
    </Dialog>
  );
}

export interface Choice<T extends string> {
  value: T;
  label: string;
  help: string;
}

/** Several of a few, each with a sentence. */
export function Choices<T extends string>({ label, help, choices, chosen, onChange, error }: {
  label: string; help?: ReactNode; choices: readonly Choice<T>[]; chosen: readonly T[]; onChange: (chosen: T[]) => void; error?: string | null;
}) {
  const id = useId();
  const toggle = (value: T) => onChange(choices.map((each) => each.value).filter((each) => (each === value ? !chosen.includes(value) : chosen.includes(each))));
  return (
    <fieldset className="min-w-0">
      <legend className="mb-1 font-medium">{label}</legend>
      {help && <p className="mb-1 text-sm text-soft">{help}</p>}
      <div className="grid gap-1">
        {choices.map((each) => (
          <div key={each.value}>
            <Checkbox label={each.label} checked={chosen.includes(each.value)} onChange={() => toggle(each.value)} aria-describedby={`${id}-${each.value}`} />
            <p id={`${id}-${each.value}`} className="-mt-1 pl-7 text-sm text-soft">{each.help}</p>
          </div>
        ))}
      </div>
      {error && <p role="alert" className="mt-1 text-sm font-medium text-bad">{error}</p>}
    </fieldset>
  );
}

/** One of a few, each with a sentence. */
export function OneOf<T extends string>({ label, name, choices, chosen, onChange, disabled }: {
  label: string; name: string; choices: readonly Choice<T>[]; chosen: T; onChange: (chosen: T) => void; disabled?: boolean;
}) {
  return (
    <fieldset className="min-w-0" disabled={disabled}>
      <legend className="mb-1 font-medium">{label}</legend>
      <div className="grid gap-1">
        {choices.map((each) => (
          <div key={each.value}>
            <label className="target inline-flex cursor-pointer items-center gap-2.5">
              <input type="radio" name={name} value={each.value} checked={chosen === each.value} onChange={() => onChange(each.value)} aria-describedby={`${name}-${each.value}`} className="size-4.5 shrink-0 accent-accent" />
              {each.label}
            </label>
            <p id={`${name}-${each.value}`} className="-mt-1 pl-7 text-sm text-soft">{each.help}</p>
          </div>
        ))}
      </div>
    </fieldset>
  );
}

// Text that is typed into the address or wherever else it arrives later: the field shows it at once, so that no key is lost.
import { useState } from "react";

interface State {
  text: string;
  seen: string;
  /** Sent, and not yet come back. */
  pending: readonly string[];
}

/** `value` as it is typed, and how to change it. A `value` that nobody typed here (back, "Clear") takes its place. */
export function useTyped(value: string, onChange: (text: string) => void): [string, (text: string) => void] {
  const [state, setState] = useState<State>({ text: value, seen: value, pending: [] });
  const after = arrived(state, value);
  if (after !== state) setState(after);
  const type = (text: string) => {
    setState((old) => ({ ...old, text, pending: [...old.pending, text] }));
    onChange(text);
  };
  return [after.text, type];
}

/** After `value` has come from outside. */
export function arrived(state: State, value: string): State {
  if (value === state.seen) return state;
  const at = state.pending.indexOf(value);
  return at < 0 ? { text: value, seen: value, pending: [] } : { ...state, seen: value, pending: state.pending.slice(at + 1) };
}

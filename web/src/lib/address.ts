// What stands in the address after the question mark: filters and what is open, so that back, reload and a shared link keep it.
import { useCallback } from "react";
import { useSearchParams } from "react-router";

export type AddressChange = Readonly<Record<string, string | null | undefined>>;

/** `search` with `change` made to it: empty, null and undefined are taken out. */
export function addressWith(search: URLSearchParams, change: AddressChange): URLSearchParams {
  const after = new URLSearchParams(search);
  for (const [name, value] of Object.entries(change)) {
    if (value) after.set(name, value);
    else after.delete(name);
  }
  return after;
}

/** What stands there, and how to change it. A change replaces the present entry of the history unless `push`; nothing scrolls. */
export function useAddress(): [URLSearchParams, (change: AddressChange, how?: { push?: boolean }) => void] {
  const [search, setSearch] = useSearchParams();
  const change = useCallback(
    (wanted: AddressChange, { push = false } = {}) => setSearch((now) => addressWith(now, wanted), { replace: !push, preventScrollReset: true }),
    [setSearch],
  );
  return [search, change];
}

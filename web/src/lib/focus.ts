// Where the keyboard was before a dialog took it, so that closing gives it back: dialogs here have no trigger of their own,
// and what opened them may be a line of a menu that is gone by then.
let last: HTMLElement | null = null;

document.addEventListener("focusin", ({ target }) => {
  if (target instanceof HTMLElement && !target.closest("[role=dialog], [role=menu]")) last = target;
});

/** For `onCloseAutoFocus`: back to what was used last outside of dialogs and menus, or to the beginning of the page. */
export function giveBack(event: Event): void {
  event.preventDefault();
  const to = last?.isConnected ? last : document.getElementById("content");
  to?.focus({ preventScroll: true });
}

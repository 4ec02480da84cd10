// Light, dark, or as the system has it. public/theme.js sets the first one before the first paint.
import { useSyncExternalStore } from "react";

export type Theme = "light" | "dark" | "system";
const KEY = "callstream.theme";
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const watchers = new Set<() => void>();
let wanted: Theme = read();

function read(): Theme {
  try {
    const kept = localStorage.getItem(KEY);
    return kept === "light" || kept === "dark" ? kept : "system";
  } catch {
    return "system";
  }
}

function apply(): void {
  document.documentElement.dataset.theme = wanted === "system" ? (dark.matches ? "dark" : "light") : wanted;
  watchers.forEach((each) => each());
}

dark.addEventListener("change", apply);

/** Choose a theme; it is kept on this device. */
export function setTheme(theme: Theme): void {
  wanted = theme;
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // Not kept then; it holds until the page is closed.
  }
  apply();
}

function watch(changed: () => void): () => void {
  watchers.add(changed);
  return () => watchers.delete(changed);
}

/** What was chosen. */
export const useTheme = (): Theme => useSyncExternalStore(watch, () => wanted);

/** What is shown: light or dark. */
export const useShownTheme = (): "light" | "dark" =>
  useSyncExternalStore(watch, () => (document.documentElement.dataset.theme === "dark" ? "dark" : "light"));

// Light, dark, or as the system says.

import { Observable } from "../logic/observable.ts";

export type Theme = "system" | "light" | "dark";
const STORED = "keyward-theme";

export const theme = new Observable<Theme>(readStored());

function readStored(): Theme {
  try {
    const stored = localStorage.getItem(STORED);
    return stored === "light" || stored === "dark" ? stored : "system";
  } catch {
    return "system"; // storage may be switched off
  }
}

export function applyTheme() {
  const { documentElement } = document;
  if (theme.value === "system") delete documentElement.dataset.theme;
  else documentElement.dataset.theme = theme.value;
}

export function setTheme(value: Theme) {
  theme.set(value);
  applyTheme();
  try {
    localStorage.setItem(STORED, value);
  } catch {
    // The choice then lasts until the page is closed.
  }
}

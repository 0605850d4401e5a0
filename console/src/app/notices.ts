// Messages at the lower edge: what was done, and what is about to be done and can be undone.

import { asProblem } from "../api/problem.ts";
import { Observable } from "../logic/observable.ts";

export interface Toast {
  id: number;
  text: string;
}

export interface Pending {
  id: number;
  /** What will happen, such as "The old key ends". */
  label: string;
  dueAt: number;
  run: () => Promise<void>;
  cancelled?: () => void;
}

export const UNDO_MS = 10_000;
const TOAST_MS = 5_000;

export const toasts = new Observable<Toast[]>([]);
export const pending = new Observable<Pending[]>([]);
let ids = 0;

export function say(text: string) {
  ids += 1;
  const toast = { id: ids, text };
  toasts.set([...toasts.value.slice(-2), toast]);
  setTimeout(() => toasts.set(toasts.value.filter((one) => one !== toast)), TOAST_MS);
}

export function sayProblem(error: unknown) {
  const problem = asProblem(error);
  say(problem.requestId ? `${problem.message} Request ${problem.requestId}.` : problem.message);
}

/** Does something in ten seconds unless the person undoes it. */
export function soon(label: string, run: () => Promise<void>, cancelled?: () => void) {
  ids += 1;
  const item: Pending = { id: ids, label, dueAt: Date.now() + UNDO_MS, run, cancelled };
  pending.set([...pending.value, item]);
  setTimeout(() => runNow(item), UNDO_MS);
}

export async function runNow(item: Pending) {
  if (!pending.value.includes(item)) return;
  pending.set(pending.value.filter((one) => one !== item));
  await item.run().catch(sayProblem);
}

export function undo(item: Pending) {
  if (!pending.value.includes(item)) return;
  pending.set(pending.value.filter((one) => one !== item));
  item.cancelled?.();
  say("Undone. Nothing was changed.");
}

/** Leaving the page would drop what is pending, so the browser asks first. */
export function guardUnload() {
  addEventListener("beforeunload", (event) => {
    if (pending.value.length > 0) event.preventDefault();
  });
}

// Polling for effects of time: an expiry, an alarm, a recovery. Everything else is awaited by its event.

import { setTimeout as pause } from "node:timers/promises";

/** Polls `ask` until it returns a truthy value, and returns that. Throws with `what` after `within` ms. */
export async function until(what, ask, { within = 8_000, every = 40 } = {}) {
  const deadline = performance.now() + within;
  for (;;) {
    const found = await ask();
    if (found) return found;
    if (performance.now() > deadline) throw new Error(`Not within ${within} ms: ${what}`);
    await pause(every);
  }
}

/** Returns an RFC 3339 time in the given number of milliseconds. */
export const ahead = (milliseconds) => new Date(Date.now() + milliseconds).toISOString();

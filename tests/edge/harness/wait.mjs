// Waiting for what comes by itself: an expiry, an alarm, a recovery. Everything else is awaited by its event.

import { setTimeout as pause } from "node:timers/promises";

/** Asks again and again until `ask` gives something truthy, and gives that. Fails, with `what`, after `within` ms. */
export async function until(what, ask, { within = 8_000, every = 40 } = {}) {
  const deadline = performance.now() + within;
  for (;;) {
    const found = await ask();
    if (found) return found;
    if (performance.now() > deadline) throw new Error(`not within ${within} ms: ${what}`);
    await pause(every);
  }
}

/** An RFC 3339 time so many milliseconds ahead. */
export const ahead = (milliseconds) => new Date(Date.now() + milliseconds).toISOString();

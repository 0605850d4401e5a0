// Steady requests with one key, while a test changes something.

import { setTimeout as pause } from "node:timers/promises";
import { until } from "./wait.mjs";

/** Sends requests with a key on several connections until `stop()`. `seen` collects `{sent, got, verdict}`, times in ms. */
export function startTraffic(gate, apiKey, { connections = 4, path = "/v1/contacts" } = {}) {
  const seen = [];
  let going = true;
  const loops = Array.from({ length: connections }, async () => {
    while (going) {
      const sent = Date.now();
      const { verdict } = await gate.call(path, { key: apiKey });
      seen.push({ sent, got: Date.now(), verdict });
      await pause(2);
    }
  });
  const count = (verdict) => seen.filter((one) => one.verdict === verdict).length;
  return {
    seen,
    count,
    first: (verdict) => seen.find((one) => one.verdict === verdict),
    last: (verdict) => seen.findLast((one) => one.verdict === verdict),
    /** Resolves once `verdict` was received more than `times` times. */
    reaches: (verdict, times = 20) => until(`${verdict} ${times} times`, () => count(verdict) > times),
    verdicts: () => [...new Set(seen.map(({ verdict }) => verdict))].sort(),
    async stop() {
      going = false;
      await Promise.all(loops);
    },
  };
}

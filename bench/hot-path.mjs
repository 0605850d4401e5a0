// Compares the gates: CPU per request, requests per second, latency.

import { forged, shapeless } from "./lib/gates.mjs";
import { PATH } from "./lib/request.mjs";
import { median, ratio, runRounds } from "./lib/rounds.mjs";

/** Requests of a variant in one round. A round takes at most a tenth of a second. */
const COUNT = 300;
export const FIRST_USES = 20;
export const WARM_ROUNDS = 4;

/** Measures the gates. `keys` are live keys that no isolate has cached; each first use takes one. */
export async function hotPath({ workerd, load, origin, accepted, limited, peerKey, keys, rounds, onRound }) {
  const { ports } = workerd;
  const fixed = (credentials) => () => ({ credentials });
  let taken = 0;
  const fresh = () => {
    const unused = keys.slice(taken, taken + FIRST_USES);
    taken += FIRST_USES;
    return { credentials: unused.map(({ apiKey }) => apiKey) };
  };
  const plain = { path: PATH, count: COUNT, expect: 200 };
  const variants = [
    { ...plain, name: "forward", port: ports.forward, order: fixed([peerKey]) },
    { ...plain, name: "edit", port: ports.edit, order: fixed([peerKey]) },
    { ...plain, name: "bare", port: ports.bare, order: fixed([peerKey]) },
    { ...plain, name: "hono", port: ports.hono, order: fixed([peerKey]) },
    { ...plain, name: "usual", port: ports.usual, order: fixed([peerKey]) },
    { ...plain, name: "accept", port: ports.keyward, order: fixed([accepted]) },
    { ...plain, name: "limited", port: ports.keyward, order: fixed([limited]) },
    { ...plain, name: "shapeless", port: ports.keyward, order: fixed(shapeless), expect: 401 },
    { ...plain, name: "forged", port: ports.keyward, order: fixed(forged), expect: 401 },
    { ...plain, name: "first", port: ports.firstuse, count: FIRST_USES, order: fresh },
  ];
  // Warm-up, because V8 has compiled the hot code of a busy isolate.
  const warm = variants.map((variant) => (variant.name === "first" ? variant : { ...variant, count: 1500 }));
  await runRounds(warm, { rounds: WARM_ROUNDS, workerd, load });
  const readsBefore = await origin.reads();
  const refused = warm.filter(({ expect }) => expect === 401);
  await runRounds(refused, { rounds: 1, workerd, load });
  const refusedReads = (await origin.reads()) - readsBefore;
  const results = await runRounds(variants, { rounds, workerd, load, onRound });
  const rows = variants.map(({ name }) => ({
    name,
    cpu: median(results[name].cpu),
    ratio: ratio(results, name, "forward"),
    perSecond: median(results[name].perSecond),
    p50: median(results[name].p50),
    p99: median(results[name].p99),
  }));
  return {
    rows,
    acceptToHono: ratio(results, "accept", "hono"),
    limitedToAccept: ratio(results, "limited", "accept"),
    refusedReads,
  };
}

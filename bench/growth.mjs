// CPU of an accepted request with more keys, routes and networks, relative to the smallest number of each.

import { PATH } from "./lib/request.mjs";
import { median, ratio, runRounds } from "./lib/rounds.mjs";

export const ROUTE_COUNTS = [1, 20, 200];
const KEY_COUNTS = [1, 1_000, 10_000];
export const NETWORK_COUNTS = [0, 10, 1_000];

/** Returns `count` routes. The requests match the last one. */
export function routesOf(count) {
  const others = Array.from({ length: count - 1 }, (_, index) => ({
    match: `GET /v1/resource-${index}/*`,
    scope: "contacts:read",
  }));
  return [...others, { match: "GET /v1/contacts/*", scope: "contacts:read" }];
}

/** Returns `count` networks. The last one contains the client. */
export function networksOf(count) {
  if (count === 0) return [];
  const others = Array.from({ length: count - 1 }, (_, index) => `10.${index >> 8}.${index & 255}.0/24`);
  return [...others, "203.0.113.0/24"];
}

/** Measures growth. `apiKeys` are 10,000 live keys; `limited` has a key for each of NETWORK_COUNTS, `fed` one for each of FEED_SERVICES. */
export async function growth({ workerd, load, apiKeys, limited, fed, rounds, onRound }) {
  const accepted = (name, port, credentials) => ({
    name,
    port,
    path: PATH,
    count: 500,
    expect: 200,
    order: () => ({ credentials }),
  });
  const { ports } = workerd;
  const kinds = {
    "warm keys": KEY_COUNTS.map((count) => {
      // Another part of the keys in each round, so that all of them stay in use.
      const order = (round) => ({
        credentials: Array.from({ length: 500 }, (_, index) => apiKeys[((round * 500 + index) * 7) % count]),
      });
      return { ...accepted(`${count} keys`, ports[`keys${count}`], []), order };
    }),
    routes: ROUTE_COUNTS.map((count) => accepted(`${count} routes`, ports[`routes${count}`], apiKeys.slice(0, 1))),
    networks: NETWORK_COUNTS.map((count, index) => accepted(`${count} networks`, ports.keys1, [limited[index].apiKey])),
    feed: FEED_SERVICES.map((name, index) => accepted(FEED_NAMES[index], ports[name], [fed[index].apiKey])),
  };
  for (const [index, count] of KEY_COUNTS.entries()) {
    await load.run({
      port: kinds["warm keys"][index].port,
      path: PATH,
      credentials: apiKeys.slice(0, count),
      count: Math.max(count, 5_000),
    });
  }
  const all = Object.values(kinds).flat();
  await runRounds(all, { rounds: 6, workerd, load });
  const results = await runRounds(all, { rounds, workerd, load, onRound });
  return Object.entries(kinds).flatMap(([kind, variants]) =>
    variants.map(({ name }) => ({
      kind,
      name,
      cpu: median(results[name].cpu),
      ratio: ratio(results, name, variants[0].name),
    })),
  );
}

/** Services with their own registries. The second registry is filled with revoked keys. */
export const FEED_SERVICES = ["feed0", "feed50000"];
const FEED_NAMES = ["0 entries in the feed", "50000 entries in the feed"];
export const KEY_SERVICES = KEY_COUNTS.map((count) => `keys${count}`);

import { call, serverNow } from "../../api/client.ts";
import { readScreenful } from "../../api/pages.ts";
import type { Claim, IncidentItem, Key, Page } from "../../api/types.ts";
import { useConsole } from "../../app/context.ts";
import { href, usePlace } from "../../app/router.ts";
import { useResource } from "../../logic/resource.ts";
import { DAY_MS } from "../../logic/time.ts";

const MOST = 100;
/** A count fills in late; nobody waits for it. */
const LONGEST_MS = 30_000;

interface Tile {
  name: string;
  /** What the figure counts. */
  hint: string;
  address: string;
  read: () => Promise<{ items: unknown[]; next_cursor: string | null }>;
}

/** "12", or "100+" where counting would mean reading the whole list. */
const figure = ({ items, next_cursor }: { items: unknown[]; next_cursor: string | null }) =>
  `${items.length}${next_cursor ? "+" : ""}`;

function TileLink({ tile, env }: { tile: Tile; env: string | null }) {
  const count = useResource(`${tile.name} ${env}`, async () => figure(await tile.read()), true);
  return (
    <a class="tile" href={tile.address}>
      <span class="what">{tile.name}</span>
      <span class="figure">{count.data ?? (count.problem ? "–" : "…")}</span>
      <span class="what">{count.problem ? count.problem.message : tile.hint}</span>
    </a>
  );
}

/** Counts of what waits for a person, each a link to the list. */
export function Waiting() {
  const { rights, capabilities } = useConsole();
  const env = usePlace().query.get("env");
  const keys = (query: Record<string, string>) =>
    readScreenful<Key>("/keys", { environment: env, ...query }, MOST, { longestMs: LONGEST_MS });
  const soon = () => new Date(Math.ceil((serverNow() + 30 * DAY_MS) / 60_000) * 60_000).toISOString();
  const tiles: Tile[] = [
    {
      name: "Active keys",
      hint: "in use or ready to be",
      address: href("/keys", { status: "active" }),
      read: () => keys({ status: "active" }),
    },
    {
      name: "Retiring",
      hint: "old keys in a rotation",
      address: href("/keys", { status: "retiring" }),
      read: () => keys({ status: "retiring" }),
    },
    {
      name: "Ending soon",
      hint: "active keys, within 30 days",
      address: href("/keys", { status: "active", ends: "30" }),
      read: () => keys({ status: "active", expires_before: soon() }),
    },
    ...(capabilities.takes("GET", "/keys", "exposed")
      ? [
          {
            name: "Exposed",
            hint: "seen where they must not be",
            address: href("/keys", { exposed: "true" }),
            read: () => keys({ exposed: "true" }),
          },
        ]
      : []),
    ...(rights.release || capabilities.has("POST", "/keys/{id}/release")
      ? [
          {
            name: "Quarantined",
            hint: "release or lose in 72 hours",
            address: href("/keys", { status: "quarantined" }),
            read: () => keys({ status: "quarantined" }),
          },
        ]
      : []),
    ...(rights.claims
      ? [
          {
            name: "Open claims",
            hint: "links not used yet",
            address: href("/keys", { status: "pending" }),
            read: () => call<Page<Claim>>("/claims", { query: { limit: MOST } }),
          },
        ]
      : []),
    ...(rights.incidents
      ? [
          {
            name: "Open incidents",
            hint: "something remains to be done",
            address: href("/incidents"),
            read: async () => {
              const page = await call<Page<IncidentItem>>("/incidents", { query: { limit: MOST } });
              return { ...page, items: page.items.filter(({ status }) => status === "open") };
            },
          },
        ]
      : []),
  ];
  return (
    <section aria-label="What waits" class="tiles">
      {tiles.map((tile) => (
        <TileLink key={tile.name} tile={tile} env={env} />
      ))}
    </section>
  );
}

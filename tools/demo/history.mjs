// Two weeks of usage for the demo. Keyward counts only what isolates report within two hours, so a past cannot be made through the API:
// this writes invented counts into the usage objects' SQLite on this machine, while no worker runs. Only the demo does that.

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

const HOUR_MS = 3_600_000;
const DAYS = 14;
const HOURS = DAYS * 24;

/** Networks and numbers of autonomous systems that are reserved for documentation (RFC 5737, RFC 5398). */
const PLACES = [
  { network: "192.0.2.0/24", country: "DE", asn: 64_496 },
  { network: "198.51.100.0/24", country: "FR", asn: 64_497 },
  { network: "203.0.113.0/24", country: "US", asn: 64_498 },
];

const isOffice = (hour, weekday) => hour >= 7 && hour < 18 && weekday > 0 && weekday < 6;

/**
 * Share of the usual requests in an hour, by its hour of the day, its day of the week, and how many hours ago it was.
 * @type {Record<string, (hour: number, weekday: number, ago: number) => number>}
 */
const SHAPES = {
  steady: (hour) => 0.8 + 0.2 * Math.sin((hour / 24) * 2 * Math.PI),
  office: (hour, weekday) => (isOffice(hour, weekday) ? 1 : 0.06),
  nightly: (hour) => (hour === 2 || hour === 3 ? 1 : 0),
  /** The old key of a rotation: others took over in the last day and a half. */
  fading: (hour, weekday, ago) => (isOffice(hour, weekday) ? 1 : 0.2) * Math.min(1, Math.max(0, (ago - 4) / 30)),
  growing: (hour, weekday, ago) => (isOffice(hour, weekday) ? 1 : 0.2) * Math.min(1, Math.max(0, (34 - ago) / 30)),
};

/**
 * Use of one key in the past: the usual number of requests in an hour, and for each route its share and perhaps the code of a refusal.
 * @typedef {{ id: string, perHour: number, shape: string, client: string, places: number, uses: { route: string, share: number, code?: string }[] }} Past
 */

/** A number from 0 to 1 that depends on the arguments only, so that each demo shows the same. */
function noise(...parts) {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(parts.join(" "))) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  // Each bit of the last byte changes all of the number.
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 0xffffffff;
}

/**
 * Writes the past of keys into the stores below `state`, and returns the number of keys that have one. A key has one if its usage object
 * exists, so if a request with it was reported.
 * @param {string} state
 * @param {Past[]} pasts
 */
export function writeHistory(state, pasts, now = Date.now()) {
  let written = 0;
  for (const file of filesBelow(state)) {
    if (!file.endsWith(".sqlite")) continue;
    const store = new DatabaseSync(file);
    try {
      if (isUsage(store)) written += fillStore(store, pasts, Math.floor(now / HOUR_MS));
    } finally {
      store.close();
    }
  }
  return written;
}

function isUsage(store) {
  const tables = store.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all();
  const names = new Set(tables.map(({ name }) => name));
  return ["keys", "names", "sources", "hours", "days"].every((name) => names.has(name));
}

function fillStore(store, pasts, thisHour) {
  let written = 0;
  store.exec("BEGIN");
  for (const past of pasts) {
    const key = store.prepare("SELECT number FROM keys WHERE id = ?").get(past.id);
    if (!key) continue;
    written += 1;
    for (const use of past.uses) fillUse(store, { past, use, key: key.number, thisHour });
  }
  const count = "INSERT INTO meta (name, value) SELECT 'sources', CAST(count(*) AS TEXT) FROM sources WHERE true";
  store.exec(`${count} ON CONFLICT (name) DO UPDATE SET value = excluded.value`);
  store.exec("COMMIT");
  return written;
}

function fillUse(store, { past, use, key, thisHour }) {
  const addHour = store.prepare(
    "INSERT OR IGNORE INTO hours (at, key, source, decision, count) VALUES (?, ?, ?, ?, ?)",
  );
  const addDay = store.prepare(
    "INSERT INTO days (at, key, route, decision, count) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
  );
  const [route, decision] = [numberOf(store, use.route), numberOf(store, use.code ?? "allowed")];
  const sources = PLACES.slice(0, past.places).map((place) => sourceOf(store, { route, ...place, ...past, thisHour }));
  for (let ago = 1; ago <= HOURS; ago += 1) {
    const at = thisHour - ago;
    const date = new Date(at * HOUR_MS);
    const usual = past.perHour * use.share * SHAPES[past.shape](date.getUTCHours(), date.getUTCDay(), ago);
    for (const [place, source] of sources.entries()) {
      const count = Math.round((usual / sources.length) * (0.6 + 0.8 * noise(past.client, use.route, place, ago)));
      if (count === 0) continue;
      addHour.run(at, key, source, decision, count);
      addDay.run(Math.floor(at / 24), key, route, decision, count);
    }
  }
}

function numberOf(store, text) {
  store.prepare("INSERT OR IGNORE INTO names (text) VALUES (?)").run(text);
  return store.prepare("SELECT number FROM names WHERE text = ?").get(text).number;
}

function sourceOf(store, { route, network, client, country, asn, thisHour }) {
  const values = [route, network, client, country, asn];
  store
    .prepare("INSERT OR IGNORE INTO sources (route, network, client, country, asn, day) VALUES (?, ?, ?, ?, ?, ?)")
    .run(...values, Math.floor(thisHour / 24));
  return store
    .prepare("SELECT number FROM sources WHERE route = ? AND network = ? AND client = ? AND country = ? AND asn = ?")
    .get(...values).number;
}

function filesBelow(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesBelow(path) : [path];
  });
}

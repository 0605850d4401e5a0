// Benchmarks the registry in workerd through the control plane, over HTTP, with its SQLite on disk.

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { mintedKey } from "./lib/gates.mjs";
import { median } from "./lib/rounds.mjs";

const LISTED = 100_000;
const REVOKED = 50_000;

export async function timed(count, work) {
  const began = performance.now();
  const result = await work();
  return { result, perSecond: (count / (performance.now() - began)) * 1000 };
}

/** Revokes keys, eight at a time, as they are issued. */
export async function revokeAll(control, keys) {
  const rest = [...keys];
  const lane = async () => {
    for (let key = rest.pop(); key !== undefined; key = rest.pop()) await control.revoke(key.id);
  };
  return timed(keys.length, () => Promise.all(Array.from({ length: 8 }, lane)));
}

/**
 * Fills the stopped registry of `service` up to `LISTED` keys, because issuing them would take an hour: copies of the newest key with
 * other names and positions. Returns the first `count` of them, which are valid keys with known secrets. The object writes their
 * copies to KV when it starts.
 */
export function fillUp(state, service, count) {
  const apiKeys = [];
  fill(state, service, LISTED, (row, number, insert) => {
    if (number > count) return insert("keys", row);
    const { apiKey, keyHash } = mintedKey({ identifier: row.id.slice(-12), secret: String(number).padStart(32, "S") });
    apiKeys.push(apiKey);
    insert("keys", { ...row, key_hash: keyHash });
    insert("outbox", { id: row.id, revision: row.revision, attempts: 0 });
  });
  return apiKeys;
}

/** Fills the registry with revoked keys, so that the feed has an entry for each. */
export function fillWithRevoked(state, service) {
  fill(state, service, REVOKED, (row, _, insert) => {
    insert("keys", { ...row, state: "revoked", revoked_at: row.created_at, revision: row.revision + 1 });
  });
}

/** Opens the database and calls `add` for each number, which inserts rows with `insert(table, row)`. */
function fill(state, service, count, add) {
  const folder = join(state, service);
  const [file] = readdirSync(folder).filter((name) => /^[0-9a-f]{64}\.sqlite$/.test(name));
  const database = new DatabaseSync(join(folder, file));
  const statements = {};
  const insert = (table, row) => {
    const columns = Object.keys(row);
    statements[table] ??= database.prepare(
      `INSERT INTO ${table} (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`,
    );
    statements[table].run(...Object.values(row));
  };
  const model = database.prepare("SELECT * FROM keys WHERE state = 'active' ORDER BY position DESC LIMIT 1").get();
  const [counts] = database.prepare("SELECT max(position) AS most, count(*) AS held FROM keys").all();
  const [most, held] = [Number(counts.most), Number(counts.held)];
  database.exec("BEGIN");
  for (let number = 1; number <= count - held; number += 1) {
    const id = `wafl_live_F${String(number).padStart(11, "0")}`;
    const name = `filled-${number}`;
    add({ ...model, position: most + number, revision: most + number, id, name, integration: name }, number, insert);
  }
  // The last change needs its audit entry, otherwise the registry refuses to serve the feed.
  const seq = most + count + 1;
  database.prepare("UPDATE meta SET value = ? WHERE name = 'revision'").run(String(seq));
  insert("audit", { ...database.prepare("SELECT * FROM audit ORDER BY seq DESC LIMIT 1").get(), seq });
  database.exec("COMMIT");
  database.close();
}

/** Returns the milliseconds for the first page of 50 keys. */
export async function listPage(control, times = 200) {
  const taken = [];
  for (let time = 0; time < times; time += 1) {
    const began = performance.now();
    const { items } = await control.list();
    if (items.length !== 50) throw new Error(`Unexpected page of ${items.length}`);
    taken.push(performance.now() - began);
  }
  return median(taken);
}

/** Measures the feed as an edge queries it: bytes of a snapshot, and queries for changes per second. */
export async function feed(port, seconds = 2) {
  const ask = async (message) => {
    const response = await fetch(`http://127.0.0.1:${port}/`, {
      method: "POST",
      body: JSON.stringify({ changes: message }),
    });
    const text = await response.text();
    if (response.status !== 200) throw new Error(`Feed query failed: ${response.status} ${text}`);
    return { bytes: text.length, changes: JSON.parse(text).changes.changes };
  };
  let bytes = 0;
  let pages = 0;
  let at;
  for (let after = null; pages === 0 || after !== null; pages += 1) {
    const page = await ask({ snapshot: { after } });
    bytes += page.bytes;
    after = page.changes.snapshot.next ?? null;
    at = page.changes.snapshot.at;
  }
  const began = performance.now();
  let asked = 0;
  for (; performance.now() - began < seconds * 1000; asked += 1) await ask({ since: at });
  return { bytes, pages, deltas: (asked / (performance.now() - began)) * 1000 };
}

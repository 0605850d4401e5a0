// The registry in workerd: through the control plane, over HTTP, with its SQLite on disk.

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { mintedKey } from "./lib/gates.mjs";
import { median } from "./lib/rounds.mjs";

export const LISTED = 100_000;

export async function timed(count, work) {
  const began = performance.now();
  const result = await work();
  return { result, perSecond: (count / (performance.now() - began)) * 1000 };
}

/** Eight at a time, as for issuing. */
export async function revokeAll(control, keys) {
  const rest = [...keys];
  const lane = async () => {
    for (let key = rest.pop(); key !== undefined; key = rest.pop()) await control.revoke(key.id);
  };
  return timed(keys.length, () => Promise.all(Array.from({ length: 8 }, lane)));
}

/**
 * Fills a stopped registry up to `LISTED` keys, which to issue would take an hour: copies of the newest one with other names and
 * places. The first `count` of them are real keys, with the hash of a secret that is known here: they are the answer.
 */
export function fillUp(state, count) {
  const folder = join(state, "registry");
  const [file] = readdirSync(folder).filter((name) => /^[0-9a-f]{64}\.sqlite$/.test(name));
  const database = new DatabaseSync(join(folder, file));
  const model = database.prepare("SELECT * FROM keys WHERE state = 'active' ORDER BY position DESC LIMIT 1").get();
  const [{ most, held }] = database.prepare("SELECT max(position) AS most, count(*) AS held FROM keys").all();
  const columns = Object.keys(model);
  const insert = database.prepare(`INSERT INTO keys (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`);
  const apiKeys = [];
  database.exec("BEGIN");
  for (let number = 1; number <= LISTED - held; number += 1) {
    const identifier = `F${String(number).padStart(11, "0")}`;
    const name = `filled-${number}`;
    const row = { ...model, position: most + number, revision: most + number, id: `wafl_live_${identifier}`, name, integration: name };
    if (number <= count) {
      const { apiKey, keyHash } = mintedKey({ identifier, secret: String(number).padStart(32, "S") });
      row.key_hash = keyHash;
      apiKeys.push(apiKey);
    }
    insert.run(...columns.map((column) => row[column]));
  }
  database.prepare("UPDATE meta SET value = ? WHERE name = 'revision'").run(String(most + LISTED));
  database.exec("COMMIT");
  database.close();
  return apiKeys;
}

/** Milliseconds for the first page of 50. */
export async function listPage(control, times = 200) {
  const taken = [];
  for (let time = 0; time < times; time += 1) {
    const began = performance.now();
    const { items } = await control.list();
    if (items.length !== 50) throw new Error(`a page of ${items.length}`);
    taken.push(performance.now() - began);
  }
  return median(taken);
}

import { readAll } from "../../api/pages.ts";
import type { Key } from "../../api/types.ts";
import { say, sayProblem } from "../../app/notices.ts";
import { csv } from "../../logic/csv.ts";
import { download } from "../../logic/download.ts";
import { count } from "../../logic/words.ts";

const COLUMNS = [
  "id",
  "name",
  "integration",
  "environment",
  "status",
  "owner",
  "purpose",
  "scopes",
  "allowed_cidrs",
  "created_at",
  "created_by",
  "expires_at",
  "first_used_at",
  "last_used_at",
  "exposed_at",
  "revoked_at",
  "revoked_by",
  "revoke_reason",
];
const MOST = 20_000;

export function exportKeys(keys: Key[]) {
  const rows = keys.map((key) => ({ ...key }) as Record<string, unknown>);
  download(`keyward-keys-${new Date().toISOString().slice(0, 10)}.csv`, csv(COLUMNS, rows), "text/csv");
  say(`Exported ${count(keys.length, "key")}.`);
}

/** Exports every key that fits the filters. */
export async function exportAll(query: Record<string, string | null>) {
  try {
    const { items, complete } = await readAll<Key>("/keys", query, MOST);
    exportKeys(items);
    if (!complete) say(`The file has the first ${count(items.length, "key")}. Filter the list to export the others.`);
  } catch (error) {
    sayProblem(error);
  }
}

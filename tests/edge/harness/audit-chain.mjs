// Checks the audit log as docs/internals/storage.md tells a stranger to: RFC 8785 and SHA-256, nothing of the product.

import { createHash } from "node:crypto";

/** RFC 8785 for what entries hold: null, booleans, strings, integers, lists, objects. */
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") {
    if (typeof value === "number" && !Number.isSafeInteger(value)) throw new Error(`not an integer: ${value}`);
    return JSON.stringify(value);
  }
  // sort() compares UTF-16 code units, as the RFC asks.
  const fields = Object.keys(value)
    .sort()
    .map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`);
  return `{${fields.join(",")}}`;
}

/** Rows of the table `audit`, oldest first. Gives the place of the first that breaks the chain, or null. */
export function firstBreak(rows) {
  let previous = "0".repeat(64);
  for (const [index, row] of rows.entries()) {
    const { hash, ...rest } = row;
    const entry = { ...rest, detail: JSON.parse(row.detail) };
    const right = createHash("sha256").update(canonical(entry)).digest("hex");
    if (row.seq !== index + 1 || row.previous !== previous || hash !== right) return index;
    previous = hash;
  }
  return null;
}

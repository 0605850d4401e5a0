// Independent check of the audit log by docs/internals/storage.md: RFC 8785 and SHA-256, without code of the product.

import { createHash } from "node:crypto";

/** RFC 8785 for the types in entries: null, booleans, strings, integers, lists, objects. */
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") {
    if (typeof value === "number" && !Number.isSafeInteger(value)) throw new Error(`Not an integer: ${value}`);
    return JSON.stringify(value);
  }
  // sort() compares UTF-16 code units, as the RFC requires.
  const fields = Object.keys(value)
    .sort()
    .map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`);
  return `{${fields.join(",")}}`;
}

/** Checks rows of the table `audit`, oldest first. Returns the index of the first row that breaks the chain, or null. */
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

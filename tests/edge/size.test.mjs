// The built wasm: every new isolate compiles it before it answers (docs/decisions/0005-sizes.md).

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { BUILD_DIR } from "./harness/settings.mjs";

const wasm = readFileSync(join(BUILD_DIR, "index_bg.wasm"));

/** Gzipped bytes. */
const BUDGET = 960_000;

test("the wasm is within its budget", () => {
  const size = gzipSync(wasm, { level: 9 }).length;
  assert.ok(size <= BUDGET, `${size} bytes gzipped; the budget is ${BUDGET}`);
});

test("the wasm contains no text of the OpenAPI document", () => {
  assert.equal(wasm.indexOf('"operationId"'), -1);
});

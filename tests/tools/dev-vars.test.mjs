import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ensureDevVars, readDevVars } from "../../tools/dev-vars.mjs";

function folder(t) {
  const path = mkdtempSync(join(tmpdir(), "keyward-tools-"));
  t.after(() => rmSync(path, { recursive: true }));
  return join(path, ".dev.vars");
}

test("the first start writes secrets that only the owner of the file can read", async (t) => {
  const file = folder(t);
  assert.equal(ensureDevVars(file), true);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const vars = readDevVars(file);
  assert.equal(Buffer.from(vars.KEYWARD_SECRET, "base64").length, 32);
  assert.equal(Buffer.from(vars.BOOTSTRAP_TOKEN, "base64url").length, 32);
  assert.equal(vars.REQUIRE_HTTPS, "false");
  assert.equal(vars.ORIGIN_LIVE, undefined, "the demo origin follows the port of the start");
});

test("an existing file is never overwritten", async (t) => {
  const file = folder(t);
  writeFileSync(file, "KEYWARD_SECRET=mine\n");
  assert.equal(ensureDevVars(file), false);
  assert.equal(readFileSync(file, "utf8"), "KEYWARD_SECRET=mine\n");
});

test("two machines never get the same secrets", async (t) => {
  const [one, two] = [folder(t), folder(t)];
  ensureDevVars(one);
  ensureDevVars(two);
  assert.notEqual(readDevVars(one).KEYWARD_SECRET, readDevVars(two).KEYWARD_SECRET);
  assert.notEqual(readDevVars(one).BOOTSTRAP_TOKEN, readDevVars(two).BOOTSTRAP_TOKEN);
});

test("routes may be written as JSON, in single quotes or without", async (t) => {
  const file = folder(t);
  const routes = '[{"match":"GET /v1/contacts","scope":"contacts:read"}]';
  writeFileSync(file, `A='${routes}'\nB=${routes}\n`);
  assert.deepEqual({ ...readDevVars(file) }, { A: routes, B: routes });
});

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { collect } from "../../tools/assets.mjs";
import { WRANGLER_TOML } from "../../tools/paths.mjs";

const PAGE = { file: "index.html", type: "text/html; charset=utf-8", immutable: false };

/** Collects a built console with this manifest. */
function collected(t, files) {
  const folder = mkdtempSync(join(tmpdir(), "keyward-assets-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const [from, to] = [join(folder, "console"), join(folder, "assets")];
  for (const made of [from, to]) mkdirSync(made);
  writeFileSync(join(folder, "secret"), "outside");
  for (const name of ["index.html", "app.1a2b.js", "unlisted.map"])
    writeFileSync(join(from, name), `content of ${name}`);
  writeFileSync(join(from, "manifest.json"), JSON.stringify({ files }));
  return { manifest: collect(from, to), to };
}

test("the files that the manifest lists are copied, and no others, with digest and size of each", (t) => {
  const script = { file: "app.1a2b.js", type: "text/javascript; charset=utf-8", immutable: true };
  const { manifest, to } = collected(t, {
    "/": PAGE,
    "/keys": PAGE,
    "/_keyward/claim": PAGE,
    "/assets/app.1a2b.js": script,
  });
  assert.deepEqual(readdirSync(to).sort(), ["app.1a2b.js", "index.html"]);
  const entry = manifest.files["/assets/app.1a2b.js"];
  const content = readFileSync(join(to, "app.1a2b.js"));
  const digest = createHash("sha256").update(content).digest("base64url").slice(0, 22);
  assert.deepEqual(entry, { ...script, digest, bytes: content.length });
  assert.deepEqual(manifest.files["/keys"], manifest.files["/"]);
});

test("an entry that leaves the folder, adds a header or hides an address of the API is refused", (t) => {
  for (const [path, entry] of Object.entries({
    "/a": { ...PAGE, file: "../secret" },
    "/b": { ...PAGE, file: "/etc/passwd" },
    "/c": { ...PAGE, file: ".hidden" },
    "/d": { ...PAGE, type: "text/html\r\nset-cookie: a=b" },
    "/e": { ...PAGE, type: "text/html\nx: y" },
    "/f/../g": PAGE,
    "//evil.example": PAGE,
    relative: PAGE,
    "/with space": PAGE,
    "/_keyward/v1/keys": PAGE,
    "/_keyward": PAGE,
  }))
    assert.throws(() => collected(t, { [path]: entry }), /cannot be served/, path);
});

test("Cloudflare asks the worker before it serves a file, and gives files no other address", () => {
  const [, section] = /^\[assets\]\n((?:.+\n)+)/m.exec(readFileSync(WRANGLER_TOML, "utf8")) ?? [];
  assert.deepEqual(section?.trimEnd().split("\n"), [
    'directory = "build/assets"',
    'binding = "ASSETS"',
    "run_worker_first = true",
    'html_handling = "none"',
    'not_found_handling = "none"',
  ]);
});

// The console's files on the real worker, in each runtime that serves them: Miniflare as `npm start` uses it, Workers Static Assets as
// Miniflare emulates them, and plain workerd. Without a console in the build, every path is answered as an unknown one.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { startPlainGate } from "./harness/plain-gate.mjs";
import { ASSETS_DIR, BUILD_DIR } from "./harness/settings.mjs";

const CONTROL = "keys.acme.example";
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

const listing = join(BUILD_DIR, "console", "manifest.json");
/** @type {[string, { file: string, type: string, immutable: boolean }][]} */
const listed = existsSync(listing) ? Object.entries(JSON.parse(readFileSync(listing, "utf8")).files) : [];
const skip = listed.length === 0 && "this build has no console";

const RUNTIMES = {
  "Miniflare as npm start uses it": (vars) => startGate({ vars }),
  "Workers Static Assets": (vars) => startGate({ vars, staticAssets: true }),
  "plain workerd": (vars) => startPlainGate({ vars }),
};

for (const [name, start] of Object.entries(RUNTIMES)) {
  describe(name, () => {
    let origin;
    let gate;
    before(async () => {
      origin = await startOrigin();
      gate = await start({ ORIGIN_LIVE: origin.url, CONTROL_HOST: CONTROL });
    });
    after(async () => {
      await gate?.stop();
      await origin?.close();
    });
    const get = (path, headers = {}, method = "GET") =>
      gate.call(path, { method, headers: { host: CONTROL, ...headers } });

    test("serves every address of the manifest, byte for byte, with its headers", { skip }, async () => {
      for (const [path, { file, type, immutable }] of listed) {
        const answer = await get(path);
        assert.equal(answer.status, 200, path);
        assert.deepEqual(answer.bytes, readFileSync(join(ASSETS_DIR, file)), path);
        assert.equal(answer.headers["content-type"], type);
        assert.equal(answer.headers["cache-control"], immutable ? "public, max-age=31536000, immutable" : "no-store");
        assert.equal(answer.headers["content-security-policy"], POLICY);
        for (const header of ["cross-origin-opener-policy", "cross-origin-resource-policy"])
          assert.equal(answer.headers[header], "same-origin");
        assert.equal(answer.headers["referrer-policy"], "no-referrer");
        assert.equal(answer.headers["x-content-type-options"], "nosniff");
        assert.equal(answer.headers["x-robots-tag"], "noindex");
      }
    });

    test("answers HEAD without a body and a conditional request with 304", { skip }, async () => {
      for (const [path, { file, immutable }] of listed) {
        const head = await get(path, {}, "HEAD");
        assert.deepEqual([head.status, head.text], [200, ""]);
        assert.equal(Number(head.headers["content-length"]), readFileSync(join(ASSETS_DIR, file)).length);
        if (!immutable) continue;
        const cached = await get(path, { "if-none-match": head.headers.etag });
        assert.deepEqual([cached.status, cached.text, cached.headers.etag], [304, "", head.headers.etag]);
      }
    });

    test("has the console on CONTROL_HOST alone, and nothing under another name of a file", { skip }, async () => {
      for (const [path, { file }] of listed) {
        assert.notEqual((await gate.call(path, { headers: { host: "api.acme.example" } })).status, 200, path);
        for (const other of [`/${file}x`, `/assets.internal/${file}`, `/./${file}`, `/%2e/${file}`, "/manifest.json"])
          assert.notEqual((await get(other)).status, 200, other);
      }
      assert.equal((await get("/index.html")).status, listed.some(([path]) => path === "/index.html") ? 200 : 404);
    });

    test("answers an unknown path 421 if a route has it, and otherwise 404", async () => {
      assert.equal((await get("/v1/contacts")).verdict, "421 misdirected_request");
      assert.equal((await get("/public/logo.png")).verdict, "421 misdirected_request");
      assert.equal((await get("/nothing")).verdict, "404 no_route");
      const page = await get("/nothing", { accept: "text/html,application/xhtml+xml" });
      assert.equal(page.status, 404);
      assert.equal(page.headers["content-type"].startsWith("text/html"), listed.length > 0);
      assert.deepEqual(origin.take(), []);
    });

    test("takes a browser", { skip }, async () => {
      const browser = { "user-agent": "Mozilla/5.0", "sec-fetch-site": "none", "sec-fetch-mode": "navigate" };
      assert.equal((await get("/", browser)).status, 200);
    });
  });
}

// An answer that is edited on its way is never lost: any status, any body, any header of the origin's. Answers that a shared cache may
// store say which request headers they depend on.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startGate } from "./harness/gate.mjs";
import { raw, requestBytes } from "./harness/raw.mjs";
import { startRawOrigin } from "./harness/raw-origin.mjs";

let origin;
let gate;
let keys;

before(async () => {
  origin = await startRawOrigin();
  gate = await startGate({ vars: { ORIGIN_LIVE: origin.url } });
  await gate.bootstrap();
  const active = await gate.newKey({ scopes: ["contacts:read", "contacts:write"] });
  const rotated = await gate.newKey({ scopes: ["contacts:read", "contacts:write"] });
  const rotate = { method: "POST", key: gate.owner, json: { overlap_seconds: 3_600 } };
  assert.equal((await gate.call(`/_keyward/v1/keys/${rotated.id}/rotate`, rotate)).status, 201);
  keys = { active: active.apiKey, retiring: rotated.apiKey };
  // The old record may be used for as long as the bound.
  await gate.call("/v1/contacts", { key: keys.retiring });
});

after(async () => {
  await gate?.stop();
  await origin?.close();
});

const BODILESS = new Set([204, 205, 304]);
const HEADERS = {
  plain: [],
  cookies: ["Set-Cookie: a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT", "Set-Cookie: b=2", "X-Stay: caf\xe9"],
  posing: ["Keyward-Key-Id: forged", "Keyward.Evil: 1", "X-Stay: 1", "Set-Cookie: a=1", "Set-Cookie: b=2"],
  hops: [
    "Connection: close, X-Hop",
    "X-Hop: 1",
    "Proxy-Authenticate: Basic",
    "Proxy-Status: edge; error=x",
    "ETag: W/1",
  ],
  shared: ["Cache-Control: public, max-age=60", "Vary: Accept"],
  events: ["Content-Type: text/event-stream", "X-Stay: 1"],
};
const PASSES = ["set-cookie", "x-stay", "proxy-status", "etag", "cache-control"];

/** Values of a header in the raw lines of the answer or of the origin. */
const valuesOf = (lines, name) =>
  lines.filter((line) => line.toLowerCase().startsWith(`${name}:`)).map((line) => line.slice(name.length + 1).trim());

/** One exchange over raw sockets. Returns the lines of the answer's head and its body. */
async function exchange({ status, headers, method, key }) {
  const body = method === "HEAD" || BODILESS.has(status) ? "" : "body";
  const length = BODILESS.has(status) ? [] : ["Content-Length: 4"];
  const head = [`HTTP/1.1 ${status} Some Reason`, ...length, ...headers];
  if (!headers.some((line) => line.startsWith("Connection"))) head.push("Connection: close");
  origin.behave((socket) => socket.end(`${head.join("\r\n")}\r\n\r\n${body}`, "latin1"));
  const sent = requestBytes(`${method} /v1/contacts`, { headers: [`X-API-Key: ${key}`] });
  const answer = await raw(gate.port, sent);
  return { ...answer, expected: body };
}

test("an answer of any status reaches the holder of an active and of a retiring key, edited or not", async () => {
  const statuses = [204, 205, 304, 200, 206, 301, 404, 418, 429, 500, 503, 599, 600, 601, 666, 700, 799, 899, 998, 999];
  let variants = 0;
  for (const status of statuses) {
    for (const [kind, headers] of Object.entries(HEADERS)) {
      variants += 1;
      for (const [whose, key] of Object.entries(keys)) {
        const method = variants % 7 === 0 ? "HEAD" : "GET";
        const answer = await exchange({ status, headers, method, key });
        const what = `${method} ${status} ${kind} ${whose}`;
        assert.equal(answer.status, status, what);
        assert.equal(answer.text, answer.expected, what);
        for (const name of PASSES)
          assert.deepEqual(valuesOf(answer.lines, name), valuesOf(headers, name), `${what} ${name}`);
        if (status > 599) continue;
        for (const name of ["keyward-key-id", "keyward.evil", "x-hop", "proxy-authenticate"])
          assert.deepEqual(valuesOf(answer.lines, name), [], `${what} ${name}`);
        assert.equal(valuesOf(answer.lines, "keyward-key-expires").length, whose === "retiring" ? 1 : 0, what);
      }
    }
  }
  assert.equal(variants, 120);
  assert.deepEqual(
    gate.logs.filter((line) => /[Uu]ncaught|Unhandled|forward_failed/.test(line)),
    [],
  );
});

test("an answer that cannot be edited passes as it is, and the log says so", async () => {
  const answer = await exchange({ status: 999, headers: HEADERS.posing, method: "GET", key: keys.active });
  assert.equal(answer.status, 999);
  await gate.logged((line) => line.includes('"answer_not_edited"') && line.includes('"status":"999"'));
});

describe("an answer that a shared cache may store", () => {
  const varyOf = async (headers, { method = "GET", key = keys.active } = {}) =>
    valuesOf((await exchange({ status: 200, headers, method, key })).lines, "vary").join(", ");

  test("leaves with Vary for both credential headers", async () => {
    for (const line of [
      "Cache-Control: public",
      "Cache-Control: PUBLIC",
      "Cache-Control: s-maxage=60",
      "Cache-Control: max-age=60",
      "Cache-Control: no-cache, max-age=0",
      "Cache-Control: must-revalidate",
      'Cache-Control: private="x-secret", max-age=60',
      'Cache-Control: max-age=60, note="a, private, b"',
      "CDN-Cache-Control: max-age=60",
      "Cloudflare-CDN-Cache-Control: public",
      "Surrogate-Control: max-age=60",
      "Expires: Wed, 21 Oct 2099 07:28:00 GMT",
    ]) {
      for (const method of ["GET", "HEAD"])
        assert.equal(await varyOf([line], { method }), "Authorization, X-API-Key", `${method} ${line}`);
    }
  });

  test("keeps its own Vary, and nothing is named twice", async () => {
    const shared = "Cache-Control: public";
    assert.equal(await varyOf([shared, "Vary: Accept"]), "Accept, Authorization, X-API-Key");
    assert.equal(await varyOf([shared, "Vary: authorization"]), "authorization, X-API-Key");
    assert.equal(await varyOf([shared, "Vary: x-api-key", "Vary: Authorization"]), "x-api-key, Authorization");
    assert.equal(await varyOf([shared, "Vary: *"]), "*");
  });

  test("is also one that only a cache with a field of its own may store", async () => {
    for (const headers of [
      ["Cache-Control: private", "CDN-Cache-Control: max-age=60"],
      ["Cache-Control: no-store", "Surrogate-Control: max-age=60"],
      ["CDN-Cache-Control: no-store", "Vercel-CDN-Cache-Control: s-maxage=60"],
      ["Cache-Control: public", "CDN-Cache-Control: no-store"],
    ]) {
      assert.equal(await varyOf(headers), "Authorization, X-API-Key", headers.join());
    }
  });

  test("is not what a private or unmarked answer is", async () => {
    for (const headers of [
      [],
      ["Cache-Control: private"],
      ["Cache-Control: private, max-age=60"],
      ["Cache-Control: public, No-Store"],
      ["Cache-Control: private", "Expires: Wed, 21 Oct 2099 07:28:00 GMT"],
      ["Cache-Control: no-cache"],
      ["Cache-Control: private", "CDN-Cache-Control: no-store"],
      ["Cache-Control: publicity"],
      ["Vary: Accept"],
    ]) {
      assert.equal(await varyOf(headers), headers.includes("Vary: Accept") ? "Accept" : "", headers.join());
    }
  });

  test("leaves without it to a POST, and on a public route", async () => {
    const headers = ["Cache-Control: public"];
    assert.equal(await varyOf(headers, { method: "POST" }), "");
    origin.behave((socket) => socket.end("HTTP/1.1 200 OK\r\nCache-Control: public\r\nConnection: close\r\n\r\n"));
    assert.equal((await gate.call("/public/logo")).headers.vary, undefined);
  });
});

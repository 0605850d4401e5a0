// Path, host and method: raw bytes on a socket, with a valid key. Ambiguous requests are refused, and
// nothing of them reaches the origin.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { requestBytes } from "./harness/raw.mjs";

let origin;
let gate;
let credential;

before(async () => {
  origin = await startOrigin();
  gate = await startGate({
    vars: {
      ORIGIN_LIVE: origin.url,
      // The widest route table: every request that is well formed is forwarded.
      ROUTES: [
        { match: "GET /v1/admin/*", scope: "admin:all" },
        { match: "POST /v1/write", scope: "contacts:read" },
        { match: "GET /*", scope: "contacts:read" },
      ],
    },
  });
  await gate.bootstrap();
  const { apiKey } = await gate.newKey({ scopes: ["contacts:read"] });
  credential = `X-API-Key: ${apiKey}`;
});

after(async () => {
  await gate?.stop();
  await origin?.close();
});

/**
 * @param {string} line
 * @param {{ headers?: string[], host?: string | null, body?: string }} [options]
 */
const send = (line, { headers = [], ...rest } = {}) =>
  gate.raw(requestBytes(line, { headers: [credential, ...headers], ...rest }));

/** Sends a request with a valid key. The answer must match, and nothing may reach the origin. */
async function refused(line, verdict, options) {
  origin.take();
  const answer = await send(line, options);
  assert.deepEqual(origin.take(), []);
  assert.match(answer.verdict, verdict);
  if (answer.code) {
    assert.equal(answer.headers["content-type"], "application/problem+json");
    assert.equal(answer.headers["cache-control"], "no-store");
  }
  return answer;
}

const BAD_PATHS = {
  "dot segments": ["/..", "/.", "/v1/../v1", "/v1/./x", "/v1/..", "/v1/.", "/v1/x/.."],
  "encoded dot segments": ["/%2e%2e", "/v1/%2e%2e/x", "/v1/.%2e/x", "/v1/%2E./x", "/v1/%2e", "/v1/%2E%2E"],
  "dot segments with parameters": [
    "/v1/..;/x",
    "/v1/..;a=b/x",
    "/v1/.;/x",
    "/v1/..%3b/x",
    "/v1/..%3Bx/y",
    "/v1/%2e%2e;/x",
    "/v1/..;%2f",
  ],
  "double encoding": ["/v1/%252e%252e/x", "/v1/%252fx", "/v1/%25%32%65", "/v1/%255c", "/v1/%2541"],
  backslashes: ["/v1\\x", "/v1/..\\x", "\\v1", "/v1/%5cx", "/v1/%5C..%5Cx"],
  "encoded slashes": ["/v1%2fx", "/v1/%2Fx", "/v1/x%2f..%2fy", "/%2f%2fevil.example"],
  "empty segments": ["//", "//v1/contacts", "/v1//contacts", "/v1/contacts//", "///", "//evil.example/x"],
  "encoded controls": [
    "/v1/%00",
    "/v1/%0a",
    "/v1/%0d%0aX:1",
    "/v1/%09",
    "/v1/%1f",
    "/v1/%7f",
    "/v1/%C2%80",
    "/v1/x%00.json",
  ],
  "what is not UTF-8": [
    "/v1/%ff",
    "/v1/%c0%ae%c0%ae/x",
    "/v1/%c0%af",
    "/v1/%e0%80%ae",
    "/v1/%C3",
    "/v1/%C3x",
    "/v1/%ed%a0%80",
    "/v1/%f5%80%80%80",
  ],
  "broken escapes": ["/v1/%", "/v1/%2", "/v1/%zz", "/v1/%u002e", "/v1/%-1"],
  "raw bytes outside ASCII": ["/v1/\xc3\xa9", "/v1/\xe9", "/v1/\xc0\xae\xc0\xae/x", "/v1?q=\xc3\xa9"],
  "characters that no path has": ["/v1/<x>", '/v1/"x"', "/v1/a|b", "/v1/^", "/v1/`", "/v1/{x}", "/v1/[x]"],
};

for (const [what, targets] of Object.entries(BAD_PATHS)) {
  describe(`${what} in the path are refused`, () => {
    for (const target of targets) test(JSON.stringify(target), () => refused(`GET ${target}`, /^400( bad_path)?$/));
  });
}

test("a fragment ends at the runtime: neither the gate nor the origin sees it", async () => {
  for (const [sent, arrives] of [
    ["/v1/x#y", "/v1/x"],
    ["/v1/x?y#z", "/v1/x?y"],
    ["/v1/x#/../../_keyward", "/v1/x"],
  ]) {
    origin.take();
    assert.equal((await send(`GET ${sent}`)).status, 200);
    assert.equal(origin.take()[0].url, arrives);
  }
  await refused("GET /v1/admin/x#y", /^403 insufficient_scope$/);
});

describe("other spellings of a path never take a wider route than the plain one", () => {
  // GET /v1/admin/* needs a scope that the key lacks; GET /* does not.
  test("the plain path is 403", () => refused("GET /v1/admin/x", /^403 insufficient_scope$/));
  for (const target of [
    "/v1/%61dmin/x",
    "/v1/admi%6E/x",
    "/%76%31/admin/x",
    "/v1/%2fadmin/x",
    "/V1/admin/x",
    "/v1/ADMIN/x",
    "/v1/Admin/x",
    "/v1%2fadmin/x",
    "/v1/x/../admin/x",
    "/v1/admin;x/y",
    "/v1;x/admin/y",
    "/v1;x/ADMIN/y",
    "/v1/admin%3bx/y",
    "/v1/admin;/y",
  ]) {
    test(target, () => refused(`GET ${target}`, /^(400 bad_path|404 no_route)$/));
  }
});

describe("Keyward's own paths are never forwarded, in any spelling", () => {
  for (const target of [
    "/_keyward",
    "/_keyward/",
    "/_keyward/nothing",
    "/_KEYWARD/v1/keys",
    "/_Keyward/health",
    "/_keyward/v1/keys/",
    "/%5fkeyward/health",
    "/_keyward%2fhealth",
    "/_keyward/../v1/x",
    "/x/../_keyward/health",
    "/_keyward;x/../health",
  ]) {
    test(target, () => refused(`GET ${target}`, /^(400 bad_path|404 no_route)$/));
  }
});

describe("limits are exact", () => {
  const target = (bytes) => `/${"a".repeat(bytes - 1)}`;
  const lines = (count) => Array.from({ length: count }, (_, index) => `X-${index}: 1`);

  test("8,192 bytes of target pass and 8,193 are 414", async () => {
    assert.equal((await send(`GET ${target(8_192)}`)).status, 200);
    await refused(`GET ${target(8_193)}`, /^414 target_too_long$/);
    await refused(`GET /v1?${"a".repeat(9_000)}`, /^414 target_too_long$/);
  });

  test("100 headers pass and 101 are 431", async () => {
    // Three of them are Host, Connection and the credential.
    assert.equal((await send("GET /v1/x", { headers: lines(97) })).status, 200);
    await refused("GET /v1/x", /^431 headers_too_large$/, { headers: lines(98) });
  });

  test("more than 32 KB of headers are 431", () =>
    refused("GET /v1/x", /^431 headers_too_large$/, { headers: [`X-Large: ${"a".repeat(32_768)}`] }));
});

describe("a Host other than a single plain host is refused, and never selects the origin", () => {
  const HOSTS = [
    "a/b",
    "a/_keyward/health",
    "a?b",
    "a#b",
    "user@a",
    "user:word@a",
    "a, b",
    "a b",
    "a:x",
    "a:",
    "a:1:2",
    "[::1",
    "a\\b",
    "",
    "a/../b",
    "a%2fb",
    "\xe9",
  ];
  for (const host of HOSTS) test(JSON.stringify(host), () => refused("GET /v1/x", /^(400|421)/, { host }));
  test("two Host headers", () => refused("GET /v1/x", /^(400|421)/, { headers: ["Host: b"] }));
  test("no Host header", () => refused("GET /v1/x", /^(400|421)/, { host: null }));

  test("any single plain host is served by the configured origin", async () => {
    for (const host of ["gate.example", "GATE.example:8080", "127.0.0.1", "[::1]:80", "localhost", "a_b"]) {
      origin.take();
      assert.equal((await send("GET /v1/x", { host })).status, 200, host);
      assert.equal(origin.take().length, 1, host);
    }
  });

  test("an absolute-form target for another host does not select the origin", async () => {
    origin.take();
    const answer = await send("GET http://evil.example/v1/x");
    assert.ok([200, 400, 421].includes(answer.status), answer.verdict);
    for (const { url } of origin.take()) assert.equal(url, "/v1/x");
  });
});

describe("a target other than a path is 400", () => {
  for (const line of ["OPTIONS *", "GET *", "GET v1/x", "GET ?x", "GET "])
    test(JSON.stringify(line), () => refused(line, /^400/));
});

describe("methods", () => {
  test("TRACE is 405 with Allow", async () => {
    const answer = await refused("TRACE /v1/x", /^405 method_not_allowed$/);
    assert.equal(answer.headers.allow, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
  });

  test("CONNECT opens no tunnel", async () => {
    // workerd turns it into an event without a handler and answers 500. Cloudflare's edge never passes it on.
    for (const line of ["CONNECT gate.example:80", "CONNECT /v1/x"]) await refused(line, /^(405|500)/);
  });

  test("a method no route names is 405 with Allow where the path has routes, else 404", async () => {
    const answer = await refused("DELETE /v1/write", /^405 method_not_allowed$/);
    assert.equal(answer.headers.allow, "POST, GET, HEAD");
    const other = await refused("POST /v1/x", /^405 method_not_allowed$/);
    assert.equal(other.headers.allow, "GET, HEAD");
  });

  test("a method in lower case or an invalid method is refused", async () => {
    for (const method of ["get", "Get", "FOO", "GET\x01", "G@T"]) await refused(`${method} /v1/x`, /^(400|405|501)/);
  });

  test("no override header changes the method", async () => {
    const headers = [
      "X-HTTP-Method-Override: POST",
      "X-HTTP-Method: POST",
      "X-Method-Override: POST",
      "X_HTTP_Method_Override: POST",
    ];
    origin.take();
    assert.equal((await send("GET /v1/write", { headers })).status, 200);
    assert.equal(origin.take()[0].method, "GET");
  });

  test("HEAD is decided as GET", () => refused("HEAD /v1/admin/x", /^403/));
});

describe("the whole answer to each refusal", () => {
  const body = (code, title, status, detail) =>
    `{"type":"/_keyward/problems/${code}","title":"${title}","status":${status},"detail":"${detail}","code":"${code}","request_id":"<request id>"}`;
  for (const [line, options, expected] of /** @type {[string, object, string][]} */ ([
    [
      "GET //",
      {},
      body(
        "bad_path",
        "Ambiguous path",
        400,
        "The path or query can be read in more than one way. Send it in its plain form.",
      ),
    ],
    [
      "GET /v1/x",
      { host: "a/b" },
      body(
        "wrong_host",
        "Invalid host",
        421,
        "The `Host` of this request is not one plain host name. Send one host name.",
      ),
    ],
    [
      "TRACE /v1/x",
      {},
      body(
        "method_not_allowed",
        "Method not allowed",
        405,
        "This path does not support this method. Use a method that `Allow` lists.",
      ),
    ],
    [
      `GET /${"a".repeat(8_192)}`,
      {},
      body(
        "target_too_long",
        "URL too long",
        414,
        "Path and query have more than 8,192 bytes together. Shorten them, or send long input in the body.",
      ),
    ],
    [
      "GET /v1/x",
      { headers: [`X-L: ${"a".repeat(33_000)}`] },
      body(
        "headers_too_large",
        "Headers too large",
        431,
        "The headers are too many or too large. Send at most 100 headers and 32,768 bytes.",
      ),
    ],
    [
      "GET /v1/x",
      { headers: ["Content-Length: 2"], body: "hi" },
      body(
        "unexpected_body",
        "Body not allowed",
        400,
        "A GET or HEAD request must not have a body here. Send its content in the query, or use another method.",
      ),
    ],
  ])) {
    test(JSON.parse(expected).code, async () => {
      const { text, headers } = await refused(line, /^4/, options);
      assert.match(headers["keyward-request-id"], /^[0-9A-Za-z]{16}$/);
      assert.equal(text.replace(headers["keyward-request-id"], "<request id>"), expected);
    });
  }
});

test("after all these requests the gate serves, and nothing panicked", async () => {
  assert.equal((await send("GET /v1/x")).status, 200);
  assert.deepEqual(
    gate.logs.filter((line) => /panic|RuntimeError|Critical|Reinitializ/.test(line)),
    [],
  );
});

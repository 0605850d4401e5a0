// Requests: which parts of a request arrive at the origin. Responses are in
// origin-answers.test.mjs.

import assert from "node:assert/strict";
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { startOrigin, values } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { requestBytes } from "./harness/raw.mjs";

let live;
let made;
let gate;
const keys = {};

before(async () => {
  [live, made] = [await startOrigin(), await startOrigin()];
  gate = await startGate({ vars: { ORIGIN_LIVE: live.url, ORIGIN_TEST: made.url } });
  await gate.bootstrap();
  keys.live = await gate.newKey({ integration: "crm-sync", scopes: ["contacts:read", "contacts:write"] });
  keys.test = await gate.newKey({ integration: "crm-sync", environment: "test" });
});

after(async () => {
  await gate?.stop();
  await live?.close();
  await made?.close();
});

/** Sends header lines unchanged and returns the one request that arrived. */
async function arrival(headers, line = "GET /v1/contacts") {
  live.take();
  const answer = await gate.raw(requestBytes(line, { headers }));
  assert.equal(answer.status, 200, answer.text);
  const arrivals = live.take();
  assert.equal(arrivals.length, 1);
  return arrivals[0];
}

const credential = () => `Authorization: Bearer ${keys.live.apiKey}`;
const names = (arrived) => arrived.headers.map(([name]) => name).sort();
const IDENTITY = [
  "keyward-assertion",
  "keyward-environment",
  "keyward-integration",
  "keyward-key-id",
  "keyward-request-id",
  "keyward-scopes",
];

/** What the gate says of the request itself. */
const FORWARDED = ["host", "x-forwarded-host", "x-forwarded-proto"];

/** The names that arrived, except those that the gate sets. */
const others = (arrived) => names(arrived).filter((name) => !IDENTITY.includes(name) && !FORWARDED.includes(name));

test("a request arrives with its method, path, query and body unchanged, and with its identity", async () => {
  const body = '{"name":"Zoë"}';
  const answer = await gate.call("/v1/contacts/42;v=1/%C3%A9?a=1&b=%2F..%2f&c=//&d=", {
    method: "PUT",
    key: keys.live.apiKey,
    json: { name: "Zoë" },
    headers: { accept: "*/*", cookie: "session=1" },
  });
  assert.equal(answer.status, 200);
  const arrived = answer.json;
  assert.equal(arrived.method, "PUT");
  assert.equal(arrived.url, "/v1/contacts/42;v=1/%C3%A9?a=1&b=%2F..%2f&c=//&d=");
  assert.equal(arrived.body, body);
  assert.deepEqual(values(arrived, "keyward-key-id"), [keys.live.id]);
  assert.deepEqual(values(arrived, "keyward-integration"), ["crm-sync"]);
  assert.deepEqual(values(arrived, "keyward-environment"), ["live"]);
  assert.deepEqual(values(arrived, "keyward-scopes"), ["contacts:read contacts:write"]);
  assert.equal(values(arrived, "keyward-request-id").length, 1);
  assert.deepEqual(others(arrived), ["accept", "content-length", "content-type", "cookie"]);
});

test("the origin learns which host was asked and how, whatever the client says of it", async () => {
  const forged = ["X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https", "X_Forwarded_Proto: https"];
  const arrived = await arrival([credential(), ...forged]);
  assert.deepEqual(values(arrived, "x-forwarded-host"), ["gate.example"]);
  assert.deepEqual(values(arrived, "x-forwarded-proto"), ["http"]);
  assert.deepEqual(others(arrived), []);
});

test("a copy of the key arrives nowhere, and the other cookies arrive byte for byte", async () => {
  const key = keys.live.apiKey;
  const basic = Buffer.from(`user:${key}`).toString("base64");
  const arrived = await arrival([
    credential(),
    `apikey: ${key}`,
    `Referer: http://a.example/?k=${key.replaceAll("_", "%5F")}`,
    `X-Auth: Basic ${basic}`,
    `Cookie: a=caf\xc3\xa9; CF_Authorization=a.b.c; k=${key}; b="1,2"; __Host-keyward=s`,
    "X-Stay: 1",
  ]);
  assert.deepEqual(others(arrived), ["cookie", "x-stay"]);
  assert.deepEqual(values(arrived, "cookie"), ['a=caf\xc3\xa9; b="1,2"']);
});

test("two Cookie headers lose what is not the origin's", async () => {
  const arrived = await arrival([credential(), "Cookie: a=b", "Cookie: CF_Authorization=a.b.c", "Cookie: c=d"]);
  assert.ok(!JSON.stringify(arrived.headers).includes("CF_Authorization"));
  assert.match(values(arrived, "cookie").join("; "), /^a=b[;,] c=d$/);
});

test("two requests never have one request id", async () => {
  const [one, other] = [await arrival([credential()]), await arrival([credential()])];
  assert.notEqual(values(one, "keyward-request-id")[0], values(other, "keyward-request-id")[0]);
});

test("a query may contain every visible character of a URL, and arrives byte for byte (except ', see docs)", async () => {
  const target = "/v1/contacts?a=!$&()*+,-./:;=?@[]^_`{|}~%20%25&\\";
  assert.equal((await arrival([credential()], `GET ${target}`)).url, target);
  // The runtime serialises the URL this way. RFC 3986 calls both forms of this character equivalent in a query.
  assert.equal((await arrival([credential()], "GET /v1/contacts?q='")).url, "/v1/contacts?q=%27");
});

test("the credential does not arrive, whichever header carried it", async () => {
  assert.deepEqual(others(await arrival([credential()])), []);
  assert.deepEqual(others(await arrival([`X-API-Key: ${keys.live.apiKey}`])), []);
  assert.deepEqual(
    others(await arrival([`x-api-key: ${keys.live.apiKey}`, "X_API_Key: other", "X.Api.Key: another"])),
    [],
  );
});

test("with X-API-Key, an Authorization of another scheme arrives unchanged at the origin", async () => {
  const arrived = await arrival([`X-API-Key: ${keys.live.apiKey}`, 'Authorization: Digest username="ops", realm="x"']);
  assert.deepEqual(values(arrived, "authorization"), ['Digest username="ops", realm="x"']);
});

const REMOVED = [
  ..."Keyward Keyward-Key-Id Keyward-Integration Keyward-Environment Keyward-Scopes Keyward-Assertion Keyward-Request-Id Keyward-Anything".split(
    " ",
  ),
  ..."Proxy Proxy-Authorization Proxy-Connection Proxy-Authenticate Proxy-Anything HTTP2-Settings TE Trailer Keep-Alive".split(
    " ",
  ),
  ..."Forwarded X-Forwarded-For X-Forwarded-Host X-Forwarded-Prefix X-Forwarded-Uri X-Forwarded-Path X-Forwarded-Method".split(
    " ",
  ),
  ..."X-Forwarded-Server X-Original-URL X-Original-URI X-Original-Method X-Rewrite-URL".split(" "),
  ..."X-HTTP-Method-Override X-HTTP-Method X-Method-Override X-Override-URL X-Host X-HTTP-Host-Override".split(" "),
  ..."X-Sendfile-Type X-Accel-Mapping".split(" "),
  ..."X-Original-Path X-Envoy-Original-Path X-Middleware-Subrequest X-Forwarded-Port X-Forwarded-Anything".split(" "),
  ..."X-Remote-IP WL-Proxy-Client-IP Front-End-Https Client-Cert X-Anything-Client-IP Cf-Access-Jwt-Assertion".split(
    " ",
  ),
];

for (const name of REMOVED) {
  test(`${name} from a client does not arrive, in any spelling`, async () => {
    const spellings = [
      name,
      name.toUpperCase(),
      name.replaceAll("-", "_"),
      name.replaceAll("-", "."),
      name.replaceAll("-", "~"),
      name.replaceAll("-", "!"),
      name.replace("-", "_").toLowerCase(),
    ];
    const arrived = await arrival(
      [credential(), ...new Set(spellings)].map((line) => (line.includes(":") ? line : `${line}: forged`)),
    );
    assert.deepEqual(others(arrived), []);
    assert.ok(!JSON.stringify(arrived.headers).includes("forged"));
    assert.equal(arrived.url, "/v1/contacts");
    assert.equal(arrived.method, "GET");
  });
}

test("an Upgrade to anything but websocket does not arrive", async () => {
  assert.deepEqual(others(await arrival([credential(), "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"])), []);
});

test("a client cannot set the client address: only the edge's own value is passed on", async () => {
  const arrived = await arrival([
    credential(),
    "CF-Connecting-IP: 192.0.2.9",
    "X-Forwarded-For: 6.6.6.6",
    "X-Real-IP: 6.6.6.6",
    "True-Client-IP: 6.6.6.6",
    "CF_Connecting_IP: 6.6.6.6",
  ]);
  assert.ok(!JSON.stringify(arrived.headers).includes("6.6.6.6"), JSON.stringify(arrived.headers));
  assert.deepEqual(values(arrived, "x-forwarded-for"), ["192.0.2.9"]);
});

test("headers listed in Connection do not arrive, except Keyward's own", async () => {
  const lines = [credential(), "X-Hop: 1", "x_under: 2", "X-Stay: 3"];
  const listing = (value) =>
    requestBytes("GET /v1/contacts", { headers: [...lines, `Connection: ${value}`] }).replace(
      "\r\nConnection: close\r\n\r\n",
      "\r\n\r\n",
    );
  live.take();
  const answer = await gate.raw(listing("close, X-Hop, Keyward-Key-Id, Keyward-Scopes, Authorization"));
  assert.equal(answer.status, 200);
  const [arrived] = live.take();
  assert.deepEqual(others(arrived), ["x-stay", "x_under"]);
  assert.deepEqual(values(arrived, "keyward-key-id"), [keys.live.id]);
  assert.deepEqual(values(arrived, "keyward-scopes"), ["contacts:read contacts:write"]);
});

test("Connection cannot remove the edge's headers about the client either", async () => {
  const lines = [
    credential(),
    "CF-Connecting-IP: 192.0.2.9",
    "CF-Ray: r",
    "CDN-Loop: cloudflare",
    "X-Forwarded-Proto: https",
  ];
  const listed =
    "Connection: close, CF-Connecting-IP, CF-Ray, CDN-Loop, X-Forwarded-Proto, X-Forwarded-For, X-Real-IP, Host";
  live.take();
  const bytes = `GET /v1/contacts HTTP/1.1\r\nHost: h\r\n${[...lines, listed].join("\r\n")}\r\n\r\n`;
  assert.equal((await gate.raw(bytes)).status, 200);
  const [arrived] = live.take();
  assert.deepEqual(others(arrived), ["cdn-loop", "cf-connecting-ip", "cf-ray", "x-forwarded-for", "x-real-ip"]);
  assert.deepEqual(values(arrived, "x-forwarded-proto"), ["http"]);
});

test("every other header arrives unchanged, including bytes outside ASCII and repeated headers", async () => {
  const arrived = await arrival([
    credential(),
    "X-Bytes: caf\xe9 \xc3\xa9",
    "X-Twice: one",
    "X-Twice: two",
    "Idempotency-Key: k",
    "Cookie: a=1; b=2",
    "Range: bytes=0-1",
    "CF-Ray: r",
  ]);
  assert.deepEqual(values(arrived, "x-bytes"), ["caf\xe9 \xc3\xa9"]);
  assert.deepEqual(values(arrived, "x-twice"), ["one", "two"]);
  assert.deepEqual(others(arrived), ["cf-ray", "cookie", "idempotency-key", "range", "x-bytes", "x-twice", "x-twice"]);
});

test("a test key goes to ORIGIN_TEST and a live key to ORIGIN_LIVE, never the reverse", async () => {
  live.take();
  made.take();
  assert.equal((await gate.call("/v1/contacts", { key: keys.test.apiKey })).status, 200);
  assert.equal(live.take().length, 0);
  const [arrived] = made.take();
  assert.deepEqual(values(arrived, "keyward-environment"), ["test"]);
  assert.equal((await gate.call("/v1/contacts", { key: keys.live.apiKey })).status, 200);
  assert.equal(made.take().length, 0);
});

test("a public route is forwarded without an identity and without a Keyward credential", async () => {
  for (const [headers, expected] of [
    [[], []],
    [[credential()], []],
    [[`X-API-Key: ${keys.live.apiKey}`], []],
    [["Authorization: Bearer wafl_broken", "X-API-Key: Bearer wafl_live_broken"], []],
    [
      ["Authorization: Basic b3Bz", "X-API-Key: another-product"],
      ["authorization", "x-api-key"],
    ],
    [
      ["Origin: https://acme.example", "Sec-Fetch-Site: cross-site"],
      ["origin", "sec-fetch-site"],
    ],
  ]) {
    const arrived = await arrival(
      [...headers, "Keyward-Key-Id: forged", "Keyward_Scopes: all"],
      "GET /public/logo?v=1",
    );
    assert.deepEqual(others(arrived), expected, JSON.stringify(headers));
    assert.deepEqual(
      names(arrived).filter((name) => name.startsWith("keyward")),
      ["keyward-request-id"],
    );
  }
});

test("methods of a route with * arrive unchanged; HEAD is decided as GET", async () => {
  for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE", "PROPFIND"]) {
    assert.equal((await arrival([credential()], `${method} /v1/any/thing`)).method, method);
  }
  live.take();
  const answer = await gate.call("/v1/contacts", { method: "HEAD", key: keys.live.apiKey });
  assert.equal(answer.status, 200);
  assert.equal(answer.text, "");
  assert.equal(live.take()[0].method, "HEAD");
});

test("bodies stream in both directions: the first chunk is returned before the last is sent", {
  timeout: 5_000,
}, async () => {
  live.on("/v1/contacts/stream", (request, response) => {
    response.writeHead(200, { "content-type": "application/octet-stream" });
    response.flushHeaders();
    request.pipe(response);
  });
  const sent = httpRequest(`${gate.url}/v1/contacts/stream`, {
    method: "POST",
    headers: { authorization: `Bearer ${keys.live.apiKey}` },
  });
  sent.write("first");
  const [response] = await once(sent, "response");
  const [part] = await once(response, "data");
  assert.equal(part.toString(), "first");
  sent.end("last");
  let rest = "";
  for await (const more of response) rest += more;
  assert.equal(rest, "last");
});

test("a client that disconnects in the middle of a body causes no retry, and the gate keeps serving", {
  timeout: 5_000,
}, async () => {
  live.take();
  const arrived = live.next();
  const socket = connect(gate.port, "127.0.0.1");
  socket.on("error", () => {});
  socket.write(`POST /v1/contacts HTTP/1.1\r\nHost: h\r\n${credential()}\r\nContent-Length: 100\r\n\r\nhalf`);
  await arrived;
  socket.destroy();
  assert.equal((await gate.call("/v1/contacts", { key: keys.live.apiKey })).status, 200);
  assert.deepEqual(
    live.take().map(({ method }) => method),
    ["POST", "GET"],
  );
});

test("a GET with a body is refused, because the body would not arrive", async () => {
  live.take();
  const answer = await gate.raw(
    requestBytes("GET /v1/contacts", { headers: [credential(), "Content-Length: 2"], body: "hi" }),
  );
  assert.equal(answer.verdict, "400 unexpected_body");
  assert.deepEqual(live.take(), []);
});

test('with ORIGIN_LIVE = "route" a request goes to its own URL, from the listed hosts only', async () => {
  const onRoute = await startGate({ vars: { ORIGIN_LIVE: "route", ROUTE_HOSTS: [new URL(live.url).host] } });
  try {
    await onRoute.bootstrap();
    const { apiKey, id } = await onRoute.newKey();
    live.take();
    const answer = await onRoute.raw(
      requestBytes("GET /v1/contacts?x=1", { host: new URL(live.url).host, headers: [`X-API-Key: ${apiKey}`] }),
    );
    assert.equal(answer.status, 200);
    const [arrived] = live.take();
    assert.equal(arrived.url, "/v1/contacts?x=1");
    assert.deepEqual(values(arrived, "keyward-key-id"), [id]);
    // The same address by a name that is not listed: nothing is fetched, with a key and without one.
    const unlisted = `localhost:${new URL(live.url).port}`;
    for (const [line, headers] of /** @type {[string, string[]][]} */ ([
      ["GET /v1/contacts", [`X-API-Key: ${apiKey}`]],
      ["GET /public/x", []],
    ])) {
      const refused = await onRoute.raw(requestBytes(line, { host: unlisted, headers }));
      assert.equal(refused.verdict, "421 misdirected_request", line);
    }
    assert.deepEqual(live.take(), []);
  } finally {
    await onRoute.stop();
  }
});

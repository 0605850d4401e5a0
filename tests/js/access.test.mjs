// src/access.js with keys of jose's own, a loopback server and a clock that the test sets.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, beforeEach, describe, test } from "node:test";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { accessVerifier } from "../../src/access.js";

const AUDIENCE = "4714c135";
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const START_MS = Date.parse("2026-01-01T00:00:00Z");

const server = createServer((_, response) => respond(response));
let domain = "";
let fetches = 0;
let respond;
let now = START_MS;
let verifyAccess;
const pairs = {};
console.warn = () => {};

before(async () => {
  for (const kid of ["key-1", "key-2"]) pairs[kid] = await generateKeyPair("RS256");
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  domain = `http://127.0.0.1:${server.address().port}`;
});
after(() => server.close());
beforeEach(async () => {
  now = START_MS;
  fetches = 0;
  await serveKeys("key-1");
  verifyAccess = accessVerifier({ now: () => now });
});

async function serveKeys(...kids) {
  const keys = [];
  for (const kid of kids) keys.push({ ...(await exportJWK(pairs[kid].publicKey)), kid, alg: "RS256", use: "sig" });
  serve(JSON.stringify({ keys }));
}

function serve(body, status = 200) {
  respond = (response) => {
    fetches += 1;
    response.writeHead(status).end(body);
  };
}

function token({ claims = {}, header = {}, key = "key-1" } = {}) {
  const seconds = Math.floor(now / 1000);
  const payload = {
    iss: domain,
    aud: [AUDIENCE],
    exp: seconds + 60,
    nbf: seconds,
    email: "ada@acme.example",
    ...claims,
  };
  return new SignJWT(payload).setProtectedHeader({ alg: "RS256", kid: key, ...header }).sign(pairs[key].privateKey);
}

const verified = async (text) => JSON.parse(await verifyAccess(await text, domain, AUDIENCE));
const outcome = async (text) => Object.keys(await verified(text))[0];

describe("a token", () => {
  test("that the team signed resolves to its e-mail address", async () => {
    assert.deepEqual(await verified(token()), { email: "ada@acme.example" });
    assert.equal(await outcome(token({ claims: { aud: AUDIENCE } })), "email");
    assert.equal(await outcome(token({ claims: { aud: ["other", AUDIENCE], nbf: undefined } })), "email");
    assert.equal(fetches, 1);
  });

  test("with a wrong claim is refused", async () => {
    const seconds = START_MS / 1000;
    for (const claims of [
      { iss: `${domain}/` },
      { iss: undefined },
      { aud: ["other"] },
      { aud: [] },
      { aud: undefined },
      { exp: seconds },
      { exp: undefined },
      { exp: 1e300 },
      { nbf: seconds + 1 },
      { email: undefined },
      { email: "" },
      { email: ["ada@acme.example"] },
      { email: "ada@acme.example\n" },
      { email: "a".repeat(255) },
    ])
      assert.equal(await outcome(token({ claims })), "refused", JSON.stringify(claims));
  });

  test("expires without leeway, to the millisecond", async () => {
    const text = await token({ claims: { exp: START_MS / 1000 + 1.5 } });
    now = START_MS + 1_499;
    assert.equal(await outcome(text), "email");
    now = START_MS + 1_500;
    assert.equal(await outcome(text), "refused");
  });

  test("of another form, algorithm or key is refused and causes no fetch for its form", async () => {
    const good = await token();
    const [header, payload, signature] = good.split(".");
    const withHeader = (changes) =>
      `${Buffer.from(JSON.stringify({ alg: "RS256", kid: "key-1", ...changes })).toString("base64url")}.${payload}.${signature}`;
    for (const text of [
      "",
      "x",
      "..",
      `${good}.x`,
      `${good}=`,
      `${good}==`,
      `${header}.${payload}.`,
      `${good}, ${good}`,
      "a".repeat(9_000),
      withHeader({ alg: "none" }),
      withHeader({ alg: "HS256" }),
      withHeader({ alg: "RS512" }),
      withHeader({ crit: ["b64"], b64: true }),
      withHeader({ kid: undefined }),
      withHeader({ kid: 1 }),
    ])
      assert.equal(await outcome(text), "refused", text.slice(0, 80));
    assert.equal(fetches, 0);
    assert.equal(await outcome(token({ key: "key-2", header: { kid: "key-1" } })), "refused");
    assert.equal(await outcome(`${header}.${payload}.${signature.slice(0, -8)}AAAAAAAA`), "refused");
  });
});

describe("the key set", () => {
  test("is fetched at most once a minute for unknown keys", async () => {
    assert.equal(await outcome(token()), "email");
    const unknown = await token({ key: "key-2", claims: { exp: now / 1000 + 600 } });
    assert.equal(await outcome(unknown), "refused");
    await serveKeys("key-1", "key-2");
    now += MINUTE_MS - 1;
    assert.equal(await outcome(unknown), "refused");
    assert.equal(fetches, 1);
    now += 1;
    assert.equal(await outcome(unknown), "email");
    assert.equal(fetches, 2);
  });

  test("is fetched by one of many requests, and all are served", async () => {
    const text = await token();
    const outcomes = await Promise.all(Array.from({ length: 12 }, () => outcome(text)));
    assert.deepEqual(outcomes, Array(12).fill("email"));
    assert.equal(fetches, 1);
  });

  test("loses a withdrawn key after an hour", async () => {
    assert.equal(await outcome(token()), "email");
    await serveKeys("key-2");
    now += HOUR_MS - 1;
    assert.equal(await outcome(token()), "email");
    now += 1;
    assert.equal(await outcome(token()), "refused");
  });

  test("is used for a day while fetching it fails, and is unavailable after that", async () => {
    assert.equal(await outcome(token()), "email");
    serve("", 500);
    now += HOUR_MS;
    assert.equal(await outcome(token()), "email");
    assert.equal(await outcome(token({ key: "key-2" })), "unavailable");
    assert.equal(fetches, 2);
    now += 23 * HOUR_MS - 1;
    assert.equal(await outcome(token()), "email");
    now += 1;
    assert.equal(await outcome(token()), "unavailable");
  });

  test("is unavailable, never a reason to refuse, while the team's response is unusable", async () => {
    for (const [body, status] of [
      ["", 500],
      ["<html>", 200],
      ['{"keys":[]}', 200],
      ['{"keys":{}}', 200],
      ["null", 200],
      ["", 302],
      [" ".repeat(70_000), 200],
    ]) {
      serve(body, status);
      verifyAccess = accessVerifier({ now: () => now });
      assert.equal(await outcome(token()), "unavailable", body.slice(0, 20));
    }
    await serveKeys("key-1");
    assert.equal(await outcome(token()), "unavailable");
    now += 5_000;
    assert.equal(await outcome(token()), "email");
  });

  test("holds only RSA keys for signatures of 2,048 to 4,096 bits", async () => {
    const good = { ...(await exportJWK(pairs["key-1"].publicKey)), kid: "key-1" };
    for (const change of [
      { kty: "EC" },
      { alg: "RS512" },
      { use: "enc" },
      { n: "_".repeat(171) },
      { n: "_".repeat(700) },
      { kid: "" },
      { e: undefined },
    ]) {
      serve(JSON.stringify({ keys: [{ ...good, ...change }] }));
      verifyAccess = accessVerifier({ now: () => now });
      assert.equal(await outcome(token()), "unavailable", JSON.stringify(change).slice(0, 40));
    }
  });
});

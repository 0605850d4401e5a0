// Sign-in through Cloudflare Access (docs/guides/access.md), with a simulated Access team.

import assert from "node:assert/strict";
import { constants, createHmac, sign } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { AUDIENCE, startTeam } from "./harness/access-team.mjs";
import { startGate } from "./harness/gate.mjs";
import { KEYS, MEMBERS, newMember } from "./harness/members.mjs";
import { SECRETS } from "./harness/settings.mjs";
import { until } from "./harness/wait.mjs";

const ME = "/_keyward/v1/me";
let team;
let gate;
const settings = () => ({
  ORIGIN_LIVE: "http://127.0.0.1:1",
  CONTROL_HOST: "keys.acme.example",
  ACCESS_TEAM_DOMAIN: team.domain,
  ACCESS_AUDIENCE: AUDIENCE,
});
const call = (token, path = ME, request = {}, at = gate) =>
  at.call(path, { ...request, headers: { "cf-access-jwt-assertion": token, ...request.headers } });

before(async () => {
  team = await startTeam();
  gate = await startGate({ vars: settings() });
  await gate.bootstrap();
});
after(async () => {
  await gate?.stop();
  await team?.close();
});

describe("a valid JWT", () => {
  test("signs in the member with this email address, in any letter case, with their role", async () => {
    const { id } = (await gate.call(ME, { key: gate.owner })).json;
    assert.equal((await call(team.token())).json.id, id);
    assert.equal((await call(team.token({ email: "OLIVE@Acme.example" }))).json.id, id);
    const auditor = await newMember(gate, { role: "auditor" });
    const token = team.token({ email: auditor.email });
    assert.equal((await call(token)).json.id, auditor.id);
    assert.equal((await call(token, KEYS, { method: "POST", json: {} })).verdict, "403 forbidden");
  });

  test("an audience may be a string or an element of a list", async () => {
    assert.equal((await call(team.token({ aud: AUDIENCE }))).status, 200);
    assert.equal((await call(team.token({ aud: ["x", AUDIENCE] }))).status, 200);
    assert.equal((await call(team.token({ nbf: undefined }))).status, 200);
  });

  test("the audit log names the member as the actor of a change", async () => {
    const manager = await newMember(gate);
    const answer = await call(team.token({ email: manager.email }), KEYS, {
      method: "POST",
      json: {
        name: "By Access",
        integration: "by-access",
        environment: "live",
        purpose: "x",
        owner: "x",
        scopes: ["contacts:read"],
      },
    });
    assert.equal(answer.status, 201);
    const [{ actor }] = gate.sql("SELECT actor FROM audit ORDER BY seq DESC LIMIT 1");
    assert.equal(actor, manager.id);
  });

  test("a revoked member or an unknown address is 401", async () => {
    const gone = await newMember(gate);
    await gate.call(`${MEMBERS}/${gone.id}/revoke`, { method: "POST", key: gate.owner });
    for (const email of [
      gone.email,
      "stranger@acme.example",
      "",
      undefined,
      ["olive@acme.example"],
      "olive@acme.example\n",
    ])
      assert.equal((await call(team.token({ email }))).verdict, "401 invalid_key", String(email));
  });

  test("the certificates were fetched once for all these requests", () => assert.equal(team.fetched, 1));
});

describe("an invalid JWT is 401", () => {
  const now = () => Math.floor(Date.now() / 1000);
  const cases = {
    "another issuer": () => team.token({ iss: "https://evil.cloudflareaccess.com" }),
    "no issuer": () => team.token({ iss: undefined }),
    "another audience": () => team.token({ aud: ["other"] }),
    "no audience": () => team.token({ aud: undefined }),
    "past its end": () => team.token({ exp: now() - 1 }),
    "no exp": () => team.token({ exp: undefined }),
    "an exp that is not a number": () => team.token({ exp: "9999999999" }),
    "not yet valid": () => team.token({ nbf: now() + 60 }),
    "no signature": () => team.token({}, { by: () => Buffer.alloc(0) }),
    "alg none": () => team.token({}, { header: { alg: "none" }, by: () => Buffer.alloc(0) }),
    "alg none with a signature": () => team.token({}, { header: { alg: "none" } }),
    "HS256 with the public key": () =>
      team.token(
        {},
        { header: { alg: "HS256" }, by: (bytes) => createHmac("sha256", team.publicPem()).update(bytes).digest() },
      ),
    "HS256 declared as RS256": () =>
      team.token({}, { by: (bytes) => createHmac("sha256", team.publicPem()).update(bytes).digest() }),
    RS512: () => team.token({}, { header: { alg: "RS512" }, by: (bytes, key) => sign("RSA-SHA512", bytes, key) }),
    PS256: () =>
      team.token(
        {},
        {
          header: { alg: "PS256" },
          by: (bytes, key) => sign("RSA-SHA256", bytes, { key, padding: constants.RSA_PKCS1_PSS_PADDING }),
        },
      ),
    "PSS declared as RS256": () =>
      team.token(
        {},
        { by: (bytes, key) => sign("RSA-SHA256", bytes, { key, padding: constants.RSA_PKCS1_PSS_PADDING }) },
      ),
    "another key's signature": () => team.token({}, { key: "unknown" }),
    "no kid": () => team.token({}, { header: { kid: undefined } }),
    "a kid that is not a string": () => team.token({}, { header: { kid: 1 } }),
    "a key of its own in the header": () =>
      team.token(
        {},
        { key: "nobody's", header: { jwk: { kty: "RSA", n: "AQAB", e: "AQAB" }, jku: "http://127.0.0.1:1/" } },
      ),
    "extensions that must be understood": () => team.token({}, { header: { crit: ["b64"], b64: false } }),
    "a changed payload": () => {
      const [header, , signature] = team.token().split(".");
      return [
        header,
        Buffer.from(JSON.stringify(team.claims({ email: "olive@acme.example", sub: "2" }))).toString("base64url"),
        signature,
      ].join(".");
    },
    "one part": () => "x",
    "four parts": () => `${team.token()}.x`,
    padding: () => `${team.token()}=`,
    twice: () => [team.token(), team.token()],
    "far too long": () => team.token({ groups: "x".repeat(9_000) }),
  };
  for (const [what, make] of Object.entries(cases)) {
    test(what, async () => {
      const answer = await call(make());
      assert.equal(answer.verdict, "401 invalid_key");
      assert.equal(answer.json.field, undefined);
    });
  }

  test("an invalid JWT causes no fetch of certificates", () => assert.equal(team.fetched, 1));

  test("an empty header counts as absent", async () => assert.equal((await call("")).verdict, "401 missing_key"));
});

describe("with another credential", () => {
  test("Authorization decides alone, whether it is valid or not", async () => {
    const manager = await newMember(gate);
    const token = team.token();
    assert.equal((await call(token, ME, { key: manager.key })).json.id, manager.id);
    assert.equal((await call("nonsense", ME, { key: manager.key })).json.id, manager.id);
    assert.equal((await call(token, ME, { key: "nonsense" })).verdict, "401 invalid_key");
    assert.equal((await call(token, ME, { headers: { authorization: "Basic eDp5" } })).verdict, "401 invalid_key");
  });

  test("bootstrap accepts its token only", async () => {
    const request = { method: "POST", json: { name: "x", email: "x@y.example" } };
    assert.equal((await call(team.token(), "/_keyward/v1/bootstrap", request)).verdict, "401 missing_key");
    assert.equal(
      (await call(team.token(), "/_keyward/v1/bootstrap", { ...request, key: SECRETS.BOOTSTRAP_TOKEN })).verdict,
      "409 already_bootstrapped",
    );
  });

  test("a valid JWT grants nothing at the gate", async () =>
    assert.equal((await call(team.token(), "/v1/contacts")).verdict, "401 missing_key"));
});

describe("pages of other sites", () => {
  test("can't use a browser's Access cookie", async () => {
    const member = await newMember(gate);
    const token = team.token();
    const before = gate.sql("SELECT count(*) AS count FROM audit")[0].count;
    const revoke = (headers, body) => call(token, `${MEMBERS}/${member.id}/revoke`, { method: "POST", headers, body });
    for (const headers of [
      { origin: "https://evil.example" },
      { origin: "null" },
      { "sec-fetch-site": "cross-site" },
      { "sec-fetch-site": "same-site" },
    ]) {
      assert.equal((await revoke({ ...headers, "content-type": "application/json" }, "{}")).verdict, "403 cross_site");
      assert.equal((await call(token, KEYS, { headers })).verdict, "403 cross_site");
    }
    // A form can send this, from a browser without Sec-Fetch-Site and Origin.
    for (const type of [
      undefined,
      "text/plain",
      "application/x-www-form-urlencoded",
      "multipart/form-data; boundary=x",
    ])
      assert.equal(
        (await revoke(type === undefined ? {} : { "content-type": type })).verdict,
        "415 unsupported_media_type",
      );
    assert.equal(gate.sql("SELECT count(*) AS count FROM audit")[0].count, before);
    assert.equal(
      (await revoke({ origin: "http://keys.acme.example", "content-type": "application/json" }, "{}")).status,
      200,
    );
  });
});

describe("the team's keys", () => {
  test("an unknown key id causes at most one fetch a minute", async () => {
    const { fetched } = team;
    team.addKey("key-2");
    await Promise.all(Array.from({ length: 10 }, (_, index) => call(team.token({}, { kid: `unknown-${index}` }))));
    assert.ok(team.fetched <= fetched + 1, `${team.fetched - fetched} fetches`);
  });

  test("many concurrent first requests cause one fetch, and all are served", async () => {
    const fresh = await startGate({ vars: settings(), state: gate.state });
    try {
      const { fetched } = team;
      const answers = await Promise.all(
        Array.from({ length: 12 }, () => call(team.token({}, { kid: "key-2" }), ME, {}, fresh)),
      );
      assert.deepEqual(
        answers.map(({ status }) => status),
        Array(12).fill(200),
      );
      assert.equal(team.fetched, fetched + 1);
    } finally {
      await fresh.stop({ keepState: true });
    }
  });

  test("while the keys are unavailable the answer is 503, never 401 or 200, and afterwards sign-in works", {
    timeout: 60_000,
  }, async () => {
    for (const misbehave of [
      (response) => response.writeHead(500).end(),
      (response) => response.writeHead(200).end("<html>"),
      (response) => response.writeHead(200).end('{"keys":[]}'),
      (response) => response.writeHead(302, { location: "/cdn-cgi/access/certs2" }).end(),
      (response) => response.writeHead(200).end(" ".repeat(70_000)),
    ]) {
      team.misbehave = misbehave;
      const fresh = await startGate({ vars: settings(), state: gate.state });
      try {
        const answer = await call(team.token(), ME, {}, fresh);
        assert.equal(answer.verdict, "503 authority_unavailable");
        assert.equal(answer.headers["retry-after"], "5");
        assert.equal((await fresh.call(ME, { key: gate.owner })).status, 200);
      } finally {
        await fresh.stop({ keepState: true });
      }
    }
    const fresh = await startGate({ vars: settings(), state: gate.state });
    try {
      assert.equal((await call(team.token(), ME, {}, fresh)).verdict, "503 authority_unavailable");
      team.misbehave = null;
      await until("the next fetch", async () => (await call(team.token(), ME, {}, fresh)).status === 200, {
        within: 12_000,
        every: 500,
      });
    } finally {
      await fresh.stop({ keepState: true });
    }
  });
});

test("without the settings the header is ignored", async () => {
  const { fetched } = team;
  const plain = await startGate({ vars: { ORIGIN_LIVE: "http://127.0.0.1:1" } });
  try {
    await plain.bootstrap();
    assert.equal((await call(team.token(), ME, {}, plain)).verdict, "401 missing_key");
    assert.equal((await call("nonsense", ME, { key: plain.owner }, plain)).status, 200);
    assert.equal(team.fetched, fetched);
  } finally {
    await plain.stop();
  }
});

test("one setting without the others, or a domain outside Cloudflare Access, is a configuration error", async () => {
  for (const [vars, name] of /** @type {[object, string][]} */ ([
    [{ ACCESS_TEAM_DOMAIN: team.domain, ACCESS_AUDIENCE: AUDIENCE }, "CONTROL_HOST"],
    [{ ACCESS_TEAM_DOMAIN: team.domain }, "ACCESS_AUDIENCE"],
    [{ ACCESS_AUDIENCE: AUDIENCE }, "ACCESS_TEAM_DOMAIN"],
    [{ ACCESS_TEAM_DOMAIN: "https://evil.example", ACCESS_AUDIENCE: AUDIENCE }, "ACCESS_TEAM_DOMAIN"],
  ])) {
    const broken = await startGate({ vars: { ORIGIN_LIVE: "http://127.0.0.1:1", ...vars } });
    try {
      assert.equal((await broken.call("/_keyward/health")).status, 503);
      await broken.logged((line) => line.includes("misconfigured") && line.includes(`"variable":"${name}"`));
    } finally {
      await broken.stop();
    }
  }
});

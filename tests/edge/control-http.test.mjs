// Rules common to the whole control plane: bodies, cross-site requests, unknown paths,
// health, problem pages, and a worker that is misconfigured.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { requestBytes } from "./harness/raw.mjs";
import { ROOT, SECRETS } from "./harness/settings.mjs";

const KEYS = "/_keyward/v1/keys";
let origin;
let gate;

before(async () => {
  origin = await startOrigin();
  gate = await startGate({ vars: { ORIGIN_LIVE: origin.url } });
  await gate.bootstrap();
});

after(async () => {
  await gate?.stop();
  await origin?.close();
});

const post = (body, /** @type {Record<string, string>} */ headers = { "content-type": "application/json" }) =>
  gate.call(KEYS, { method: "POST", key: gate.owner, body, headers });
// A member's credential from another site's page is recorded as exposed; nothing else may change.
const changes = () => gate.sql("SELECT count(*) AS count FROM audit WHERE action <> 'member.expose'")[0].count;
const noEffect = async (work) => {
  const before = changes();
  await work();
  assert.equal(changes(), before);
  assert.deepEqual(origin.take(), []);
};

describe("bodies", () => {
  const whole = JSON.stringify({
    name: "x",
    integration: "x",
    environment: "live",
    purpose: "x",
    owner: "x",
    scopes: ["contacts:read"],
  });

  test("only application/json is accepted", () =>
    noEffect(async () => {
      for (const type of /** @type {(string | undefined)[]} */ ([
        undefined,
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonx",
        "text/json",
        "multipart/form-data",
        "application/problem+json",
        "application/json, text/plain",
      ])) {
        assert.equal(
          (await post(whole, type === undefined ? {} : { "content-type": type })).verdict,
          "415 unsupported_media_type",
          type,
        );
      }
    }));

  test("parameters and letter case of the content type are ignored", async () => {
    const type = "Application/JSON; charset=utf-8";
    assert.equal((await post("{}", { "content-type": type })).verdict, "400 invalid_request");
  });

  test("a body that is not a JSON object is 400 with the position", () =>
    noEffect(async () => {
      for (const body of [
        "",
        " ",
        "{",
        "[]",
        "null",
        '"x"',
        "1",
        `${whole}x`,
        `${whole}{}`,
        '{"name":Infinity}',
        '{"name":NaN}',
        "{'name':1}",
        '{"a":1,}',
        "[".repeat(60_000),
        Buffer.from('{"name":"\xff"}', "latin1"),
        Buffer.from([0xfe, 0xff]),
        `\ufeff${whole}`,
      ]) {
        const answer = await post(body);
        assert.equal(answer.verdict, "400 invalid_request", String(body).slice(0, 40));
      }
    }));

  test("65,536 bytes are read and one more is 413, with or without Content-Length", () =>
    noEffect(async () => {
      assert.equal((await post(" ".repeat(65_536))).verdict, "400 invalid_request");
      assert.equal((await post(" ".repeat(65_537))).verdict, "413 body_too_large");
      const bytes = "a".repeat(70_000);
      const chunked = requestBytes(`POST ${KEYS}`, {
        headers: [
          `Authorization: Bearer ${gate.owner}`,
          "Content-Type: application/json",
          "Transfer-Encoding: chunked",
        ],
        body: `${bytes.length.toString(16)}\r\n${bytes}\r\n0\r\n\r\n`,
      });
      assert.equal((await gate.raw(chunked)).verdict, "413 body_too_large");
    }));

  test("an unauthenticated caller gets 401 and nothing about the body", async () => {
    for (const body of ["", "{", " ".repeat(70_000), '{"colour":1}']) {
      const answer = await gate.call(KEYS, {
        method: "POST",
        key: "x",
        body,
        headers: { "content-type": "application/json" },
      });
      assert.equal(answer.verdict, "401 invalid_key");
    }
  });

  test("a field name is echoed only if it is short and plain", async () => {
    const answer = await post(JSON.stringify({ ["<script>\u0000\n".repeat(100)]: 1 }));
    assert.equal(answer.verdict, "400 invalid_request");
    assert.ok(answer.json.field.length <= 64);
    assert.equal(answer.headers["content-type"], "application/problem+json");
    assert.equal(answer.headers["x-content-type-options"], "nosniff");
  });
});

describe("pages of other sites", () => {
  test("are refused, for reading and for writing", () =>
    noEffect(async () => {
      for (const headers of [
        { origin: "https://evil.example" },
        { origin: "null" },
        { origin: gate.url.replace("http", "https") },
        { origin: `${gate.url}.evil.example` },
        { "sec-fetch-site": "cross-site" },
        { "sec-fetch-site": "same-site" },
        { origin: gate.url, "sec-fetch-site": "cross-site" },
      ]) {
        assert.equal(
          (await gate.call(KEYS, { key: gate.owner, headers })).verdict,
          "403 cross_site",
          JSON.stringify(headers),
        );
        assert.equal(
          (await gate.call(KEYS, { method: "POST", key: gate.owner, json: {}, headers })).verdict,
          "403 cross_site",
        );
      }
    }));

  test("a same-origin request is served, without any CORS header", async () => {
    for (const headers of [{ origin: gate.url }, { "sec-fetch-site": "same-origin" }, { "sec-fetch-site": "none" }]) {
      const answer = await gate.call(KEYS, { key: gate.owner, headers });
      assert.equal(answer.status, 200);
      assert.deepEqual(
        Object.keys(answer.headers).filter((name) => name.startsWith("access-control-")),
        [],
      );
    }
  });
});

describe("paths", () => {
  test("a GET never changes anything, and a GET of a write is refused", () =>
    noEffect(async () => {
      const { verdict, json } = await gate.call("/_keyward/v1/me?name=x", { key: gate.owner });
      assert.equal(`${verdict} ${json.field}`, "400 invalid_request query");
      assert.equal(
        (await gate.call("/_keyward/v1/bootstrap?name=x&email=x@y", { key: SECRETS.BOOTSTRAP_TOKEN })).verdict,
        "405 method_not_allowed",
      );
      assert.equal(
        (await gate.call(`${KEYS}/wafl_live_000000000000/revoke?reason=x`, { key: gate.owner })).verdict,
        "405 method_not_allowed",
      );
      assert.equal((await gate.call(`${KEYS}?name=x`, { key: gate.owner })).verdict, "400 invalid_request");
    }));

  for (const [method, path, allow] of [
    ["PUT", KEYS, "POST, GET, HEAD"],
    ["DELETE", `${KEYS}/wafl_live_000000000000`, "GET, HEAD, PATCH"],
    ["GET", "/_keyward/v1/bootstrap", "POST"],
    ["POST", "/_keyward/health", "GET, HEAD"],
    ["POST", "/_keyward/v1/me", "GET, HEAD"],
    ["GET", `${KEYS}/wafl_live_000000000000/revoke`, "POST"],
    ["OPTIONS", KEYS, "POST, GET, HEAD"],
  ]) {
    test(`${method} ${path} is 405 with Allow`, async () => {
      const answer = await gate.call(path, { method, key: gate.owner });
      assert.equal(answer.verdict, "405 method_not_allowed");
      assert.equal(answer.headers.allow, allow);
    });
  }

  test("an unknown path is 404 for everyone and never forwarded", () =>
    noEffect(async () => {
      for (const path of [
        "/_keyward",
        "/_keyward/",
        "/_keyward/v1",
        "/_keyward/v2/keys",
        "/_keyward/v1/keys/",
        "/_keyward/Health",
        "/_keyward/problems/nonsense",
        "/_keyward/problems/",
        "/_KEYWARD/health",
      ]) {
        for (const key of [undefined, gate.owner])
          assert.equal((await gate.call(path, { key })).verdict, "404 no_route", path);
      }
    }));
});

describe("health and problem pages", () => {
  test("health returns ok and the version, and nothing else", async () => {
    const version = /^version = "(.+)"$/m.exec(readFileSync(join(ROOT, "Cargo.toml"), "utf8"))[1];
    const answer = await gate.call("/_keyward/health");
    assert.equal(answer.status, 200);
    assert.equal(answer.text, `{"status":"ok","version":"${version}"}`);
    assert.equal(answer.headers["content-type"], "application/json");
    assert.equal(answer.headers["cache-control"], "no-store");
    assert.ok(answer.headers["keyward-request-id"]);
    assert.equal((await gate.call("/_keyward/health", { method: "HEAD" })).text, "");
  });

  // Read from the source, so that a code without a page fails.
  const codes = [
    ...readFileSync(join(ROOT, "crates", "http", "src", "problem.rs"), "utf8").matchAll(
      /^ {4}\w+ "([a-z_]+)" (\d{3}) "(.+)"$/gm,
    ),
  ];

  const advice = JSON.parse(readFileSync(join(ROOT, "crates", "control", "src", "advice.json"), "utf8"));

  test("the source has every code of the product", () => assert.ok(codes.length >= 30, `found ${codes.length}`));

  // Text in backquotes becomes a `code` element.
  const escaped = (text) =>
    text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;").split("`")[0];

  for (const [, code, status, title] of codes) {
    test(`${code} has a page`, async () => {
      const answer = await gate.call(`/_keyward/problems/${code}`);
      assert.equal(answer.status, 200);
      assert.equal(answer.headers["content-type"], "text/html; charset=utf-8");
      assert.equal(answer.headers["cache-control"], "public, max-age=300");
      assert.ok(answer.headers["keyward-request-id"]);
      assert.match(answer.headers["content-security-policy"], /default-src 'none'.*frame-ancestors 'none'/);
      for (const part of [code, status, title, escaped(advice[code])]) assert.ok(answer.text.includes(part), part);
      assert.ok(!/<script|\son\w+=/i.test(answer.text));
    });
  }
});

describe("a misconfigured worker", () => {
  const secrets = { KEYWARD_SECRET: "c2hvcnQ=", BOOTSTRAP_TOKEN: "tiny", KEYWARD_SECRET_PREVIOUS: "not base64!" };
  const vars = {
    ...secrets,
    KEY_PREFIX: "WAFL",
    ORIGIN_LIVE: "https://user:word@api.example.com",
    REQUIRE_HTTPS: "perhaps",
    MAX_KEY_DAYS: 0,
    REVOCATION_BOUND_SECONDS: "soon",
    OUTAGE_GRACE_SECONDS: -1,
    ROUTES: [{ match: "nonsense", scope: "a" }],
  };
  let broken;
  before(async () => (broken = await startGate({ vars })));
  after(() => broken?.stop());

  test("answers 500 on every path except health, which answers 503", async () => {
    const body = (status) =>
      `{"type":"/_keyward/problems/misconfigured","title":"Invalid configuration","status":${status},"detail":"The configuration of this gate is invalid. Its operator finds every problem in the log.","code":"misconfigured","request_id":"<request id>"}`;
    for (const [path, request] of /** @type {[string, object][]} */ ([
      ["/", {}],
      ["/v1/contacts", { key: "x" }],
      ["/public/x", {}],
      ["/_keyward/v1/me", { key: "x" }],
      ["/_keyward/v1/bootstrap", { method: "POST", json: {} }],
      ["/_keyward/problems/misconfigured", {}],
      ["/_keyward/healthy", {}],
    ])) {
      const answer = await broken.call(path, request);
      assert.equal(answer.status, 500, path);
      assert.equal(answer.pinned, body(500), path);
    }
    const health = await broken.call("/_keyward/health");
    assert.equal(health.status, 503);
    assert.equal(health.pinned, body(503));
    assert.equal(health.headers["cache-control"], "no-store");
  });

  test("the log names every problem by its variable, without the value of a secret", async () => {
    for (const name of Object.keys(vars)) {
      const expected = name === "ROUTES" ? "ROUTES[0]" : name;
      await broken.logged((line) => line.includes("misconfigured") && line.includes(`"variable":"${expected}"`));
    }
    const log = broken.logs.join("\n");
    for (const value of [...Object.values(secrets), "user:word"]) assert.ok(!log.includes(value), value);
  });

  test("a missing variable is named too", async () => {
    const bare = await startGate({
      vars: { KEYWARD_SECRET: undefined, BOOTSTRAP_TOKEN: "", ORIGIN_LIVE: undefined, ROUTES: undefined },
    });
    try {
      assert.equal((await bare.call("/_keyward/health")).status, 503);
      for (const name of ["KEYWARD_SECRET", "BOOTSTRAP_TOKEN", "ORIGIN_LIVE", "ROUTES"]) {
        await bare.logged(
          (line) => line.includes(`"variable":"${name}"`) && /is missing|must be a non-empty list/.test(line),
        );
      }
    } finally {
      await bare.stop();
    }
  });
});

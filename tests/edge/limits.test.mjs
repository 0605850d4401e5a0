// Limits of keys in the real build: two workers over one set of objects, and what callers, gateways and other workers see.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { parseList } from "structured-headers";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { KEYS, newMember } from "./harness/members.mjs";
import { until } from "./harness/wait.mjs";

const CONTACTS = "/v1/contacts";
const ROUTES = [
  { match: "GET /v1/contacts", scope: "contacts:read" },
  { match: "GET /v1/dear", scope: "contacts:read", cost: 5 },
  { match: "GET /v1/free", scope: "contacts:read", cost: 0 },
  { match: "GET /v1/closed", scope: "contacts:read", on_outage: "closed" },
  { match: "GET /public", access: "public" },
];

let origin;
before(async () => (origin = await startOrigin()));
after(() => origin?.close());

const start = (options = {}) =>
  startGate({ ...options, vars: { ORIGIN_LIVE: origin.url, ROUTES, ...options.vars } }).then(async (gate) => {
    await gate.bootstrap();
    return gate;
  });

/** Returns the items of a list of structured fields as `{name: parameters}`. */
const fieldsOf = (text) =>
  Object.fromEntries(parseList(text).map(([name, parameters]) => [name, Object.fromEntries(parameters)]));

describe("two workers over one set of objects", () => {
  const WINDOW_MS = 3_000;
  const LIMIT = 60;
  // A restart: the horizon, the lifetime of a lease, the difference of clocks, and the time for which a grant counts.
  const RECOVERY_MS = 5_000 + 2_000 + 10_000 + 5_150 + 1_000;
  let gate;
  let arrivals;

  before(async () => {
    arrivals = [];
    origin.on(CONTACTS, (_, response) => {
      arrivals.push(performance.now());
      response.end("ok");
    });
    gate = await start({ edges: 1 });
  });
  after(() => gate?.stop());

  /** Sends requests on 32 connections, half of them to each worker, for a time or until something is true. Returns the answers. */
  const load = async (key, milliseconds, isOver = () => false) => {
    const answers = [];
    const end = performance.now() + milliseconds;
    const connection = async (url) => {
      while (performance.now() < end && !isOver()) {
        const answer = await gate.at(url, CONTACTS, { key });
        answers.push(answer);
        if (answer.status !== 200) await pause(20);
      }
    };
    const urls = Array.from({ length: 32 }, (_, at) => (at % 2 ? gate.url : gate.edges[0]));
    await Promise.all(urls.map(connection));
    return answers;
  };

  const busiest = () => {
    let most = 0;
    for (let first = 0, last = 0; last < arrivals.length; last += 1) {
      while (arrivals[last] - arrivals[first] >= WINDOW_MS) first += 1;
      most = Math.max(most, last - first + 1);
    }
    return most;
  };

  test("no window at the origin holds more than the limit, before and after a restart of the objects", async () => {
    const limits = [{ name: "burst", requests: LIMIT, seconds: WINDOW_MS / 1_000 }];
    const { apiKey } = await gate.newKey({ limits });
    const before = await load(apiKey, 3 * WINDOW_MS);
    const passedBefore = arrivals.length;
    await gate.restart();
    const restarted = await load(apiKey, RECOVERY_MS, () => arrivals.length > passedBefore);
    assert.ok(arrivals.length > passedBefore, `nothing passes for ${RECOVERY_MS} ms after a restart`);
    const after = await load(apiKey, 3 * WINDOW_MS);
    const answers = [...before, ...restarted, ...after];
    const verdicts = new Set(answers.map(({ verdict }) => verdict));
    assert.deepEqual([...verdicts].sort(), ["200", "429 rate_limited"]);
    assert.equal(answers.filter(({ status }) => status === 200).length, arrivals.length);
    assert.ok(busiest() <= LIMIT, `${busiest()} in one window`);
    // A window comes back after at most 1.055 × (w + 2 s).
    const periods = Math.floor((3 * WINDOW_MS) / (1.055 * (WINDOW_MS + 2_000)));
    assert.ok(passedBefore >= 0.95 * LIMIT * (1 + periods) * 0.95, `${passedBefore} passed before the restart`);
  });
});

describe("one worker", () => {
  let gate;
  let verifier;

  before(async () => {
    gate = await start({ vars: { DEFAULT_LIMITS: [{ name: "default", requests: 3, seconds: 60 }] } });
    verifier = await newMember(gate, { role: "verifier" });
  });
  after(() => gate?.stop());

  const call = (path, key) => gate.call(path, { key });
  const verdicts = async (count, path, key) => {
    const seen = [];
    for (let at = 0; at < count; at += 1) seen.push((await call(path, key)).verdict);
    return seen;
  };

  test("answers carry the policy and what is left, as structured fields", async () => {
    const limits = [
      { name: "burst", requests: 100, seconds: 60 },
      { name: "monthly", requests: 1_000, period: "month" },
    ];
    const { apiKey } = await gate.newKey({ limits });
    const answer = await call(CONTACTS, apiKey);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers["ratelimit-policy"], '"burst";q=100;w=60,"monthly";q=1000');
    const { burst, monthly } = fieldsOf(answer.headers.ratelimit);
    assert.ok(burst.r <= 100 && burst.r >= 90 && burst.t >= 1 && burst.t <= 66, JSON.stringify(burst));
    assert.ok(monthly.r <= 1_000 && monthly.r >= 900 && monthly.t > 0, JSON.stringify(monthly));
  });

  test("a refusal names the limit, and the time after which a retry makes sense", async () => {
    const { apiKey } = await gate.newKey({ limits: [{ name: "tiny", requests: 2, seconds: 30 }] });
    assert.deepEqual(await verdicts(3, CONTACTS, apiKey), ["200", "200", "429 rate_limited"]);
    const refused = await call(CONTACTS, apiKey);
    const body = refused.json;
    assert.deepEqual(body["violated-policies"], ["tiny"]);
    assert.match(body.detail, /^At most 2 requests in any 30 seconds, 1\.7 sustained\. Try again in \d+ seconds\.$/);
    assert.equal(refused.headers["ratelimit-policy"], '"tiny";q=2;w=30');
    const { tiny } = fieldsOf(refused.headers.ratelimit);
    const retry = Number(refused.headers["retry-after"]);
    assert.equal(tiny.r, 0);
    assert.ok(retry >= tiny.t && retry >= 25 && retry <= 34, `${retry} and ${tiny.t}`);
  });

  test("the metrics name the limits that were reached", async () => {
    const { apiKey } = await gate.newKey({ limits: [{ name: "tight", requests: 2, seconds: 60 }] });
    assert.deepEqual(await verdicts(4, CONTACTS, apiKey), ["200", "200", "429 rate_limited", "429 rate_limited"]);
    const series = [
      /^keyward_limited_total\{policy="tight"\} 2$/m,
      /^keyward_lease_requests_total\{result="answered"\} [1-9]/m,
    ];
    const hasAll = async () => {
      const { text } = await gate.call("/_keyward/metrics", { key: gate.owner });
      return series.every((line) => line.test(text));
    };
    await until("the reports have arrived", hasAll, { within: 60_000, every: 500 });
  });

  test("only requests that would be forwarded count, and those of a free route do not", async () => {
    const { apiKey } = await gate.newKey({ limits: [{ name: "tiny", requests: 2, seconds: 60 }] });
    await call("/v1/nothing", apiKey);
    await gate.call(CONTACTS, { key: apiKey, headers: { "sec-fetch-site": "same-origin" } });
    await call("/public", apiKey);
    assert.deepEqual(await verdicts(3, "/v1/free", apiKey), ["200", "200", "200"]);
    assert.equal((await gate.call(CONTACTS, { method: "HEAD", key: apiKey })).status, 200);
    assert.deepEqual(await verdicts(2, CONTACTS, apiKey), ["200", "429 rate_limited"]);
    assert.deepEqual(await verdicts(1, "/v1/free", apiKey), ["200"]);
  });

  test("a request that costs more than is left is refused while a cheaper one passes", async () => {
    const { apiKey } = await gate.newKey({ limits: [{ name: "units", requests: 6, seconds: 60 }] });
    assert.deepEqual(await verdicts(2, "/v1/dear", apiKey), ["200", "429 rate_limited"]);
    assert.deepEqual(await verdicts(2, CONTACTS, apiKey), ["200", "429 rate_limited"]);
  });

  test("a key without limits of its own has the default, and one with an empty list has none", async () => {
    const first = await gate.issue();
    assert.deepEqual(first.json.key.limits, [{ name: "default", requests: 3, seconds: 60 }]);
    assert.deepEqual(await verdicts(4, CONTACTS, first.json.api_key), ["200", "200", "200", "429 rate_limited"]);
    const free = await gate.issue({ limits: [] });
    assert.deepEqual(free.json.key.limits, []);
    const answer = await call(CONTACTS, free.json.api_key);
    assert.deepEqual(
      [answer.status, answer.headers.ratelimit, answer.headers["ratelimit-policy"]],
      [200, undefined, undefined],
    );
  });

  test("a change keeps what was used, holds within the bound, and is in the audit log", async () => {
    const { id, apiKey } = await gate.newKey({ limits: [{ name: "burst", requests: 2, seconds: 60 }] });
    assert.deepEqual(await verdicts(3, CONTACTS, apiKey), ["200", "200", "429 rate_limited"]);
    const request = {
      method: "PATCH",
      key: gate.owner,
      json: { limits: [{ name: "burst", requests: 4, seconds: 60 }] },
    };
    const changed = await gate.callPatiently(`${KEYS}/${id}`, request);
    assert.deepEqual(changed.json.key.limits, request.json.limits);
    await pause(5_500);
    assert.deepEqual(await verdicts(3, CONTACTS, apiKey), ["200", "200", "429 rate_limited"]);
    const audit = await gate.callPatiently(`/_keyward/v1/audit?subject=${id}`, { key: gate.owner });
    const entry = audit.json.items.at(-1);
    assert.equal(entry.action, "key.update");
    assert.match(JSON.stringify(entry.detail), /"requests":4/);
    const reset = await gate.callPatiently(`${KEYS}/${id}`, { ...request, json: { limits: null } });
    assert.deepEqual(reset.json.key.limits, [{ name: "default", requests: 3, seconds: 60 }]);
  });

  test("a wrong limit is named", async () => {
    const limits = [
      { name: "a", requests: 1, seconds: 1 },
      { name: "b", requests: 1, seconds: 0 },
    ];
    const answer = await gate.issue({ limits });
    assert.deepEqual([answer.verdict, answer.json.field], ["400 invalid_request", "limits[1].seconds"]);
  });

  test("a rotated key and its successor share their limits", async () => {
    const { id, apiKey } = await gate.newKey({ limits: [{ name: "burst", requests: 3, seconds: 60 }] });
    assert.deepEqual(await verdicts(2, CONTACTS, apiKey), ["200", "200"]);
    const rotated = await gate.callPatiently(`${KEYS}/${id}/rotate`, { method: "POST", key: gate.owner, json: {} });
    assert.equal(rotated.status, 201);
    assert.deepEqual(rotated.json.key.limits, [{ name: "burst", requests: 3, seconds: 60 }]);
    assert.deepEqual(await verdicts(2, CONTACTS, rotated.json.api_key), ["200", "429 rate_limited"]);
    assert.deepEqual(await verdicts(1, CONTACTS, apiKey), ["429 rate_limited"]);
  });

  test("verify counts when it is asked to, with the cost of the route", async () => {
    const { apiKey } = await gate.newKey({ limits: [{ name: "burst", requests: 7, seconds: 60 }] });
    const verify = async (fields) => {
      const json = { api_key: apiKey, ...fields };
      return gate.callPatiently("/_keyward/v1/verify", { method: "POST", key: verifier.key, json });
    };
    for (let at = 0; at < 3; at += 1)
      assert.equal((await verify({ method: "GET", path: "/v1/dear" })).json.valid, true);
    const counted = await verify({ method: "GET", path: "/v1/dear", count: true });
    assert.equal(counted.json.valid, true);
    assert.ok(fieldsOf(counted.headers.ratelimit).burst.r <= 7);
    assert.equal((await verify({ count: true })).json.valid, true);
    const over = await verify({ method: "GET", path: "/v1/dear", count: true });
    assert.deepEqual(over.json, { valid: false, code: "rate_limited" });
    assert.ok(Number(over.headers["retry-after"]) >= 1);
    assert.equal((await verify({ count: "yes" })).json.field, "count");
    assert.equal((await call(CONTACTS, apiKey)).status, 200);
    assert.equal((await call(CONTACTS, apiKey)).status, 429);
  });

  test("forward auth counts each request once", async () => {
    const { apiKey } = await gate.newKey({ limits: [{ name: "burst", requests: 3, seconds: 60 }] });
    const headers = { "x-original-method": "GET", "x-original-uri": CONTACTS, "keyward-verifier": verifier.key };
    const authorize = () => gate.call("/_keyward/v1/authorize", { key: apiKey, headers });
    for (let at = 0; at < 3; at += 1) {
      const answer = await authorize();
      assert.equal(answer.status, 200, answer.text);
      assert.equal(answer.headers["ratelimit-policy"], '"burst";q=3;w=60');
    }
    const refused = await authorize();
    assert.deepEqual([refused.status, refused.headers["keyward-refusal"]], [403, "rate_limited"]);
    assert.ok(Number(refused.headers["retry-after"]) >= 1);
  });

  test("a burst of first requests waits for one lease at a time, and none is refused below the limit", async () => {
    const { apiKey } = await gate.newKey({ limits: [{ name: "burst", requests: 400, seconds: 60 }] });
    const answers = await Promise.all(Array.from({ length: 100 }, () => call(CONTACTS, apiKey)));
    assert.deepEqual([...new Set(answers.map(({ verdict }) => verdict))], ["200"]);
  });
});

describe("while the objects do not answer", () => {
  let gate;

  before(async () => {
    gate = await start({ instrumented: true, vars: { OUTAGE_GRACE_SECONDS: 6 } });
  });
  after(() => gate?.stop());

  test("a key continues on its reserve for the grace, then 503; on a closed route at once", async () => {
    const { apiKey } = await gate.newKey({ limits: [{ name: "burst", requests: 1_000, seconds: 60 }] });
    assert.equal((await gate.call(CONTACTS, { key: apiKey })).status, 200);
    await gate.order({ limits: "fail" });
    await pause(2_100);
    const began = performance.now();
    const answer = await gate.call(CONTACTS, { key: apiKey });
    assert.equal(answer.status, 200, answer.text);
    assert.match(answer.headers["keyward-authority"], /unreachable/);
    assert.equal((await gate.call("/v1/closed", { key: apiKey })).verdict, "503 authority_unavailable");
    await pause(7_000 - (performance.now() - began));
    const late = await gate.call(CONTACTS, { key: apiKey });
    assert.equal(late.verdict, "503 authority_unavailable");
    await gate.order({ limits: "work" });
    await pause(1_100);
    assert.equal((await gate.call(CONTACTS, { key: apiKey })).status, 200);
  });

  test("a limited key that was never seen is not let through", async () => {
    await gate.order({ limits: "fail" });
    const { apiKey } = await gate.newKey({ limits: [{ name: "burst", requests: 1_000, seconds: 60 }] });
    assert.equal((await gate.call(CONTACTS, { key: apiKey })).verdict, "503 authority_unavailable");
    const free = await gate.newKey({ limits: [] });
    assert.equal((await gate.call(CONTACTS, { key: free.apiKey })).status, 200);
    await gate.order({ limits: "work" });
  });
});

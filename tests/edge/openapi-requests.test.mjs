// Requests made from the OpenAPI document's own schemas: the gate accepts what the schemas accept, and refuses what they refuse with 400
// and the wrong field. openapi.test.mjs compares the answers, and checks that the gate serves this document.
// KEYWARD_FUZZ_SEED chooses other requests.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startGate } from "./harness/gate.mjs";
import { KEYS, newMember } from "./harness/members.mjs";
import { fieldsOf, newJudge, pick, randomFrom, samples } from "./harness/schema-samples.mjs";
import { ROOT, ROUTES, SECRETS, VARS } from "./harness/settings.mjs";

const document = JSON.parse(readFileSync(join(ROOT, "crates", "control", "src", "openapi.json"), "utf8"));
const judge = newJudge(document);
const random = randomFrom(Number(process.env.KEYWARD_FUZZ_SEED ?? 20_261_123));
const follow = (value) =>
  value.$ref === undefined
    ? value
    : value.$ref
        .slice(2)
        .split("/")
        .reduce((at, name) => at[name], document);
const context = { judge, random, follow };

/** Scopes that routes use: enough for a key with as many as it may have. */
const SCOPES = new Set([
  ...ROUTES.flatMap(({ scope }) => scope ?? []),
  ...Array.from({ length: 50 }, (_, at) => `s${at}`),
]);

/**
 * What the document says in words, because a schema cannot: whether the gate may refuse this value of a field although the schema
 * takes it.
 */
const IN_WORDS = {
  expires_in_days: (days) => days > VARS.MAX_KEY_DAYS,
  expires_at: (text) =>
    !(Date.parse(text) > Date.now() && Date.parse(text) < Date.now() + VARS.MAX_KEY_DAYS * 86_400_000),
  scopes: (scopes) => Array.isArray(scopes) && scopes.some((scope) => !SCOPES.has(scope)),
  allowed_cidrs: (networks) =>
    Array.isArray(networks) &&
    networks.some((network) => !/^(192\.0\.2\.7|192\.0\.2\.0\/24|::1|10\.0\.\d+\.\d+)$/.test(network)),
  // Each name once.
  limits: (limits) => Array.isArray(limits) && new Set(limits.map((limit) => limit?.name)).size < limits.length,
  cursor: () => true,
  // An extension must end later than the present end.
  "extendRotation overlap_seconds": () => true,
  // A range begins before it ends, and has a limited number of steps.
  "keyUsage from": () => true,
  "keyActivity from": () => true,
  "usageTotals from": () => true,
  "usageTotals key": () => true, // with `by=route` only
  "replayEndpoint from": () => true,
  "replayEndpoint to": () => true,
  // The deployment lists the hosts, and there are at most 20 endpoints.
  "createEndpoint url": () => true,
  "updateEndpoint url": () => true,
  "rotateEndpointSecret signatures": () => true,
};
const inWords = (value, operationId = "") =>
  Object.entries(value ?? {})
    .filter(([name, field]) => field !== null && (IN_WORDS[`${operationId} ${name}`] ?? IN_WORDS[name])?.(field))
    .map(([name]) => name);

let gate;
const owners = [];
let requests = 0;
const counts = {};

before(async () => {
  const more = [...SCOPES].map((scope, at) => ({ match: `GET /s/${at}`, scope }));
  const vars = {
    ORIGIN_LIVE: "http://127.0.0.1:1",
    ROUTES: [...ROUTES, ...more],
    CONTROL_HOST: "keys.acme.example",
    EVENT_HOSTS: ["localhost:9"],
  };
  gate = await startGate({ vars });
  await gate.bootstrap();
  owners.push(gate.owner);
  // Each credential has its own rate.
  for (let made = 0; made < 4; made += 1) owners.push((await newMember(gate, { role: "owner" })).key);
});
after(() => gate?.stop());

/** Sends a request as one of the owners. */
const send = (path, request) => {
  requests += 1;
  return gate.callPatiently(path, { key: owners[requests % owners.length], ...request });
};

const differences = [];
/** Records what the gate did otherwise than the document says. */
function compare(operationId, answer, errors, value, sent) {
  const outcome = errors === null ? answer.status : "refused";
  counts[outcome] = (counts[outcome] ?? 0) + 1;
  const wrong = difference(answer, errors, inWords(errors && fieldsOf(errors).has("") ? {} : value, operationId));
  const detail = answer.status === 204 ? "" : (answer.json.detail ?? answer.text);
  if (wrong)
    differences.push(`${operationId} ${wrong}: ${answer.status} ${detail.slice(0, 200)} ${sent.slice(0, 300)}`);
}

function difference(answer, errors, words) {
  if (answer.status >= 500) return "failed";
  const field = answer.status === 400 ? (answer.json.field ?? "") : undefined;
  if (errors === null) return field === undefined || words.includes(field.split("[")[0]) ? "" : `refused ${field}`;
  const fields = fieldsOf(errors);
  if (field === undefined) return `accepted, with ${[...fields]}`;
  const isUnnamed = field === "" && errors.some(({ params }) => params.additionalProperty === "");
  const isRight = fields.has(field) || isUnnamed || words.includes(field.split("[")[0]);
  return isRight ? "" : `named ${field}, not ${[...fields]}`;
}

/** Fails with everything that `compare` has recorded since the last time. */
const settle = () => assert.deepEqual(differences.splice(0).slice(0, 20), []);

/** Calls `work` with each item, eight at a time. */
async function each(items, work) {
  const left = [...items];
  const run = async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: 8 }, run));
  settle();
}

const OPERATIONS = new Map(
  Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => [
      operation.operationId,
      { path, method: method.toUpperCase(), operation },
    ]),
  ),
);
/** Operations that a test below has sent requests to. */
const tried = new Set();

function described(operationId) {
  tried.add(operationId);
  return OPERATIONS.get(operationId) ?? assert.fail(operationId);
}

const build = (fields) => ({
  value: Object.fromEntries(Object.entries(fields).map(([name, one]) => [name, one.value])),
  sent: Object.fromEntries(Object.entries(fields).map(([name, one]) => [name, one.sent])),
});

/** Returns the samples of each property: those that the schema and the words accept, those that only the schema accepts, and the wrong ones. */
function propertiesOf(schema) {
  return Object.entries(schema.properties).map(([name, property]) => {
    const all = samples(property, context);
    const accepted = all.filter(({ value }) => judge(property, value) === null);
    const isPlain = ({ value }) => inWords({ [name]: value }).length === 0;
    const right = accepted.filter(isPlain);
    const wrong = all.filter(({ value }) => judge(property, value) !== null);
    assert.ok(right.length > 0 && wrong.length > 0, `no sample for ${name}`);
    return { name, all, right, wrong };
  });
}

let made = 0;
const next = () => {
  made += 1;
  return made;
};
/** Values of fields that two keys or members cannot share. */
const FRESH = {
  name: () => `n-${next()}`,
  integration: () => `i-${next()}`,
  email: () => `e-${next()}@acme.example`,
  // Nobody listens at this port.
  url: () => `http://localhost:9/${next()}`,
};

/** Returns bodies of an operation: one with each sample of each property, without each property, and with fields that nobody knows. */
function bodies(schema) {
  const properties = propertiesOf(schema);
  const required = schema.required ?? (schema.minProperties ? [properties[0].name] : []);
  const first = ({ name, right }) => {
    const value = FRESH[name]?.();
    return [name, value === undefined ? right[0] : { value, sent: value }];
  };
  const base = () => Object.fromEntries(properties.filter(({ name }) => required.includes(name)).map(first));
  const without = (name) => Object.fromEntries(Object.entries(base()).filter(([other]) => other !== name));
  const mixed = Array.from({ length: 60 }, (_, at) => {
    const chosen = properties.filter(({ name }) => required.includes(name) || random() < 0.5);
    const wrong = at % 2 === 1 ? pick(chosen, random) : undefined;
    return Object.fromEntries(chosen.map((one) => [one.name, pick(one === wrong ? one.wrong : one.right, random)]));
  });
  const one = { value: 1, sent: 1 };
  return [
    ...properties.flatMap(({ name, all }) => all.map((sample) => ({ ...base(), [name]: sample }))),
    ...required.map(without),
    ...["colour", "", "__proto__2", "Name", "id"].map((name) => ({ ...base(), [name]: one })),
    ...mixed,
  ].map(build);
}

/**
 * Sends bodies of an operation with `id` in its path: all of them, or those for which `only` is true of the document's errors.
 * @param {string} operationId
 * @param {{ id?: string, key?: string, only?: (errors: any) => boolean, to?: typeof send }} [options]
 */
async function compareBodies(operationId, { id = "", only = () => true, to = send, ...request } = {}) {
  const { path: template, method, operation } = described(operationId);
  const path = template.replace("{id}", id);
  const { schema } = operation.requestBody.content["application/json"];
  const whole = [null, [], [{}], "x", 1, true].map((value) => ({ value, sent: value }));
  await each([...bodies(follow(schema)), ...whole], async ({ value, sent }) => {
    const errors = judge(schema, value);
    if (!only(errors)) return;
    const body = JSON.stringify(sent);
    const answer = await to(path, { method, body, headers: { "content-type": "application/json" }, ...request });
    compare(operationId, answer, errors, value, body);
  });
}

/** Whether a text in a query is a number is for the schema to say. */
const inQuery = ({ type }, text) => (type === "integer" && /^-?(0|[1-9]\d*)$/.test(text) ? Number(text) : text);

/** Sends a query with each sample of each parameter, with parameters that nobody knows, and with several. */
async function compareQueries(operationId, id = "") {
  const { path: template, operation } = described(operationId);
  const path = template.replace("{id}", id);
  const parameters = operation.parameters.map(follow).filter((one) => one.in === "query");
  const properties = Object.fromEntries(parameters.map(({ name, schema }) => [name, schema]));
  const required = parameters.filter((one) => one.required).map(({ name }) => name);
  const schema = { type: "object", properties, required, additionalProperties: false };
  const texts = parameters.map(({ name, schema: one }) => ({
    name,
    texts: samples(one, context).flatMap(({ value }) => (typeof value === "string" ? [value] : [])),
  }));
  const right = texts.map(({ name, texts: all }) => ({
    name,
    texts: all.filter((text) => judge(follow(properties[name]), inQuery(follow(properties[name]), text)) === null),
  }));
  const mixed = Array.from({ length: 40 }, () =>
    right.filter(() => random() < 0.4).map((one) => [one.name, pick(one.texts, random)]),
  );
  const needed = right.filter(({ name }) => required.includes(name)).map((one) => [one.name, one.texts[0]]);
  const withNeeded = (pairs) => [...needed.filter(([name]) => !pairs.some(([given]) => given === name)), ...pairs];
  const cases = [
    ...texts.flatMap(({ name, texts: all }) => all.map((text) => [[name, text]])),
    [["colour", "1"]],
    [["Limit", "1"]],
    ...mixed,
  ].map(withNeeded);
  if (needed.length > 0) cases.push([]);
  await each(cases, async (pairs) => {
    const value = Object.fromEntries(
      pairs.map(([name, text]) => [name, inQuery(follow(properties[name] ?? {}), text)]),
    );
    const query = pairs.map(([name, text]) => `${name}=${encodeURIComponent(text.toWellFormed())}`).join("&");
    compare(operationId, await send(`${path}?${query}`), judge(schema, value), value, query);
  });
}

describe("the gate accepts and refuses as the document says", () => {
  const key = async (fields) =>
    (await gate.newKey({ integration: FRESH.integration(), name: FRESH.name(), ...fields })).id;
  const member = async () => (await newMember(gate, { role: "manager" })).id;

  test("new keys", () => compareBodies("issueKey"));
  test("changes of a key", async () => compareBodies("updateKey", { id: await key() }));
  test("rotations", async () => compareBodies("rotateKey", { id: await key() }));
  test("an overlap", async () => {
    const id = await key();
    await send(`${KEYS}/${id}/rotate`, { method: "POST", json: {} });
    await compareBodies("extendRotation", { id });
    await compareBodies("finishRotation", { id });
  });
  test("revocations", async () => compareBodies("revokeKey", { id: await key() }));
  test("dismissals and releases", async () => {
    const id = await key();
    await compareBodies("dismissExposure", { id });
    await compareBodies("releaseKey", { id });
  });
  test("claims", async () => {
    const request = { id: "wafl_live_000000000000", to: (path, one) => gate.call(path, one) };
    for (const operationId of ["lookUpClaim", "claimKey", "revokeByClaimant"])
      await compareBodies(operationId, { ...request, key: undefined });
    const { key: pending } = (
      await send(KEYS, {
        method: "POST",
        json: {
          name: "pending",
          integration: "pending",
          environment: "live",
          purpose: "p",
          owner: "o",
          scopes: ["contacts:read"],
          deliver: "claim",
        },
      })
    ).json;
    await compareBodies("withdrawClaim", { id: pending.id });
    await compareQueries("listClaims");
  });
  test("incidents", async () => {
    await compareBodies("openIncident");
    const id = await key();
    await compareBodies("compromiseKey", { id });
    const opened = await send(`${KEYS}/${id}/compromise`, { method: "POST", json: { kind: "other", note: "x" } });
    const incident = { id: opened.json.incident.id };
    await compareBodies("reviewIncident", incident);
    await compareBodies("closeIncident", incident);
    await compareQueries("listIncidents");
  });
  test("endpoints of events", async () => {
    const json = { url: FRESH.url(), signatures: ["v1a", "v1"] };
    const made = await send("/_keyward/v1/endpoints", { method: "POST", json });
    const endpoint = { id: made.json.endpoint.id };
    await compareBodies("rotateEndpointSecret", endpoint);
    await compareBodies("replayEndpoint", endpoint);
    await compareBodies("testEndpoint", { ...endpoint, only: (errors) => errors !== null });
    await compareBodies("updateEndpoint", endpoint);
    await compareBodies("deleteEndpoint", endpoint);
    await compareBodies("createEndpoint");
    await compareBodies("resendDelivery", { id: "dlv_1" });
    await compareQueries("listDeliveries");
  });
  test("lists of exposures", async () => compareQueries("listExposures", await key()));
  test("new members", () => compareBodies("createMember"));
  test("changes of a member", async () => compareBodies("updateMember", { id: await member() }));
  test("a member's rotations and revocations", async () => {
    await compareBodies("rotateMember", { id: await member() });
    await compareBodies("revokeMember", { id: await member() });
  });
  test("sign-in and sign-out", async () => {
    await compareBodies("startSession");
    await compareBodies("endSession");
  });
  test("bootstrap", async () => {
    // Once there is an owner, every body is 409.
    const fresh = await startGate({ vars: { ORIGIN_LIVE: "http://127.0.0.1:1" } });
    try {
      const request = { key: SECRETS.BOOTSTRAP_TOKEN, to: (path, one) => fresh.callPatiently(path, one) };
      await compareBodies("bootstrap", { ...request, only: (errors) => errors !== null });
      assert.equal((await fresh.bootstrap()).status, 201);
      await compareBodies("bootstrap", { ...request, only: (errors) => errors === null });
    } finally {
      await fresh.stop();
    }
  });
  test("questions", () => compareBodies("verifyKey"));
  test("lists of keys", () => compareQueries("listKeys"));
  test("lists of members", () => compareQueries("listMembers"));
  test("the audit log", () => compareQueries("readAudit"));
  test("the usage of a key", async () => compareQueries("keyUsage", await key()));
  test("the activity of a key", async () => compareQueries("keyActivity", await key()));
  test("totals of usage", () => compareQueries("usageTotals"));
  test("lists of leak reports", () => compareQueries("listLeaks"));

  test("forms", async () => {
    const token = samples({ type: "string", minLength: 1 }, context).flatMap(({ value }) =>
      typeof value === "string" ? [value] : [],
    );
    for (const operationId of ["introspect", "revokeToken"]) {
      const { path, operation } = described(operationId);
      const { schema } = operation.requestBody.content["application/x-www-form-urlencoded"];
      const forms = [
        ...token.map((one) => ({ token: one })),
        {},
        { colour: "1" },
        { token: "x", colour: "1", token_type_hint: "any" },
      ];
      for (const [at, form] of forms.entries()) {
        const headers = { "cf-connecting-ip": `198.51.${100 + (at >> 8)}.${at & 255}` };
        const answer = await send(path, { method: "POST", form, headers });
        const shown = `${operationId} ${JSON.stringify(form)}: ${answer.status} ${answer.text}`;
        if (judge(schema, form) === null) assert.equal(answer.status, 200, shown);
        else assert.equal(`${answer.status} ${answer.json.error}`, "400 invalid_request", shown);
      }
    }
  });

  test("ids in a path", async () => {
    for (const [operationId, id] of [
      ["showKey", await key()],
      ["showMember", await member()],
    ]) {
      const { path, operation } = described(operationId);
      const { schema } = follow(operation.parameters.map(follow).find(({ name }) => name === "id"));
      assert.equal((await send(path.replace("{id}", id))).status, 200);
      const near = [
        id.toUpperCase(),
        `${id}0`,
        id.slice(0, -1),
        id.replace("_", "-"),
        ` ${id}`,
        id.replace("wafl", "other"),
      ];
      for (const text of [...near, "wafl_live_000000000000", "wafl_admin_000000000000"]) {
        const answer = await send(path.replace("{id}", encodeURIComponent(text)));
        assert.equal(answer.status, 404, `${operationId} ${text}: ${answer.text}, ${judge(schema, text) === null}`);
      }
    }
  });

  test("idempotency keys", async () => {
    const { schema } = follow({ $ref: "#/components/parameters/IdempotencyKey" });
    const texts = samples(schema, context).flatMap(({ value }) => (typeof value === "string" ? [value] : []));
    const sendable = texts.filter((text) => /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(text));
    for (const text of [...sendable, "x".repeat(64), "x".repeat(65)]) {
      const id = await key();
      const answer = await send(`${KEYS}/${id}/rotate`, {
        method: "POST",
        json: {},
        headers: { "idempotency-key": text },
      });
      const right = judge(schema, text) === null;
      assert.equal(answer.status === 400, !right, `${text}: ${answer.status} ${answer.text}`);
      if (!right) assert.equal(answer.json.field, "Idempotency-Key", answer.text);
    }
  });

  test("every operation with a body or a query was tried", () => {
    // Leak receivers are limited for each address, or skip what they do not know: see openapi.test.mjs and leaks.test.mjs.
    for (const operationId of ["reportLeaks", "reportGithubLeaks", "gitlabRevokeTokens"]) tried.add(operationId);
    const takes = ({ operation }) =>
      operation.requestBody !== undefined || (operation.parameters ?? []).some((one) => follow(one).in === "query");
    const all = [...OPERATIONS].filter(([, one]) => takes(one)).map(([operationId]) => operationId);
    assert.deepEqual(
      all.filter((operationId) => !tried.has(operationId)),
      [],
    );
    assert.ok(requests > 2_000, `${requests} requests`);
    for (const status of [200, 201]) assert.ok(counts[status] > 100, `accepted: ${JSON.stringify(counts)}`);
    assert.ok(counts.refused > 1_000, JSON.stringify(counts));
  });
});

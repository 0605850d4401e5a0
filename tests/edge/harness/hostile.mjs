// Sends and checks the rows of the tables in tests/edge/hostile/. A row has these fields:
//
//   what       name of the case
//   line       `METHOD target`; or `raw`, the whole request as bytes
//   headers, host, body   as in requestBytes; a valid key is added unless `credential` is null
//   field, allow, text   expected `field`, `Allow` and whole body of the answer
//   verdict    `400 bad_path`: expected status, and code if the body has one
//   by         "workerd" if the runtime answers before the worker; pinned, so that an upgrade with another behaviour fails
//   arrives    expected request at the origin: {url, method, has: {name: value}, lacks: [name], not: text}; without it none may arrive

import assert from "node:assert/strict";
import { values } from "./echo-origin.mjs";
import { requestBytes } from "./raw.mjs";

/** The widest route table: every well-formed request is forwarded. */
export const HOSTILE_ROUTES = [
  { match: "GET /public/*", access: "public" },
  { match: "* /v1/any/*", scope: "contacts:read" },
  { match: "GET /v1/admin/*", scope: "admin:all" },
  { match: "POST /v1/write", scope: "contacts:read" },
  { match: "GET /*", scope: "contacts:read" },
];

/** Issues the keys that the rows use. */
export async function hostileKeys(gate) {
  await gate.bootstrap();
  const good = await gate.newKey({ integration: "hostile" });
  const other = await gate.newKey({ integration: "other" });
  const revoked = await gate.newKey({ integration: "revoked" });
  const test = await gate.newKey({ integration: "test", environment: "test" });
  await gate.revoke(revoked.id);
  return {
    id: good.id,
    key: good.apiKey,
    other: other.apiKey,
    revoked: revoked.apiKey,
    test: test.apiKey,
    member: gate.owner,
  };
}

/** Sends a row and returns the outcome. */
export async function perform(row, { gate, origin, keys }) {
  const { line = "GET /v1/x", headers = [], credential = `X-API-Key: ${keys.key}`, host, body } = row;
  const bytes =
    row.raw ?? requestBytes(line, { host, body, headers: credential === null ? headers : [credential, ...headers] });
  origin.take();
  const answer = await gate.raw(bytes);
  return { answer, arrivals: origin.take() };
}

/** Compares an outcome with the row's expectations. */
export function judge(row, { answer, arrivals }) {
  assert.equal(answer.verdict, row.verdict, answer.text.slice(0, 300));
  // Every answer of the gate has a request id; one of workerd has none.
  const ours = answer.headers["keyward-request-id"] !== undefined;
  assert.equal(
    ours,
    row.by !== "workerd" && row.arrives === undefined,
    ours ? "Keyward answered" : "Keyward did not answer",
  );
  if (ours) {
    assert.equal(answer.headers["cache-control"], "no-store");
    if (answer.code && answer.status >= 400) assert.equal(answer.headers["content-type"], "application/problem+json");
  }
  if (row.field !== undefined) assert.equal(JSON.parse(answer.text).field, row.field);
  if (row.text !== undefined) assert.equal(answer.text, row.text);
  if (row.allow !== undefined) assert.equal(answer.headers.allow, row.allow);
  assert.equal(
    arrivals.length,
    row.arrives === undefined ? 0 : 1,
    `arrived: ${JSON.stringify(arrivals).slice(0, 300)}`,
  );
  if (row.arrives === undefined) return;
  const [arrived] = arrivals;
  const { url, method, has = {}, lacks = [], not } = row.arrives;
  if (url !== undefined) assert.equal(arrived.url, url);
  if (method !== undefined) assert.equal(arrived.method, method);
  for (const name of Object.keys(has)) assert.deepEqual(values(arrived, name), [has[name]], name);
  for (const name of lacks) assert.deepEqual(values(arrived, name), [], name);
  if (not !== undefined) assert.ok(!JSON.stringify(arrived).includes(not), `${not} arrived`);
}

/** Values that differ between gates. */
const OWN = new Set(["keyward-request-id", "keyward-key-id", "keyward-assertion"]);

/** Parts of an outcome that must be equal in two runtimes. */
export const outcome = ({ answer, arrivals }) => ({
  verdict: answer.verdict,
  arrivals: arrivals.map(({ method, url, headers, body }) => ({
    method,
    url,
    body,
    headers: headers.map(([name, value]) => [name, OWN.has(name) ? "<own>" : value]).sort(),
  })),
});

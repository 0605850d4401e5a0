// Starts the real build in workerd, with a real KV namespace and a real SQLite object, and speaks to it as its users do.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { Log, LogLevel, Miniflare } from "miniflare";
import { newAgent, send } from "./client.mjs";
import { raw } from "./raw.mjs";
import { BUILD_DIR, COMPATIBILITY_DATE, SECRETS, VARS } from "./settings.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const NAME = "keyward";

/**
 * Starts a gate. `vars` win over the tests' own; `instrumented` puts counting-entry.mjs around it; `state` is a folder that
 * outlives the gate (otherwise it has one of its own, removed at `stop`). `edges` so many further workers of the same build
 * ask the same registry and KV: isolates of their own, whose addresses are `edges`. `neighbours` are workers of another kind
 * in the same runtime, by name: `{source, env}`, in whose `env` `GATE` is a service binding to this one.
 */
export async function startGate(options = {}) {
  const gate = new Gate(options);
  await gate.start();
  return gate;
}

class Gate {
  #options;
  #state;
  #ownState;
  #miniflare;
  #agent = newAgent();
  #waiting = [];
  /** Every line of the worker's log. */
  logs = [];
  owner = null;

  constructor(options) {
    this.#options = options;
    this.#ownState = options.state === undefined;
    this.#state = options.state ?? mkdtempSync(join(tmpdir(), "keyward-edge-"));
  }

  get state() {
    return this.#state;
  }

  async start() {
    const { vars = {}, instrumented = false, edges = 0, neighbours = {} } = this.#options;
    const names = [NAME, ...Array.from({ length: edges }, (_, at) => `edge-${at + 1}`)];
    const worker = (name) => ({
      config: {
        name,
        compatibilityDate: COMPATIBILITY_DATE,
        compatibilityFlags: [],
        manifest: modules(instrumented),
        env: { ...varBindings({ ...VARS, ...SECRETS, ...vars }), ...STORES },
        ...(name === NAME && { exports: { Registry: { type: "durable-object", storage: "sqlite" } } }),
      },
      // Without these a helper of Miniflare's stands between the client, the worker and the origin.
      dev: { stripCfConnectingIp: false, unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }] },
    });
    this.#miniflare = new Miniflare({
      host: "127.0.0.1",
      port: 0,
      cf: false,
      telemetry: { enabled: false },
      logRequests: false,
      log: new Log(LogLevel.NONE),
      handleStructuredLogs: ({ level, message }) => this.#log(`${level}: ${message}`),
      resourcePersistencePath: this.#state,
      workers: [...names.map(worker), ...Object.entries(neighbours).map(neighbour)],
    });
    await this.#miniflare.ready;
    this.url = (await this.#miniflare.unsafeGetDirectURL(NAME)).origin;
    this.port = Number(new URL(this.url).port);
    this.edges = await Promise.all(
      names.slice(1).map(async (name) => (await this.#miniflare.unsafeGetDirectURL(name)).origin),
    );
  }

  /** The address of a neighbour. */
  async neighbour(name) {
    return (await this.#miniflare.unsafeGetDirectURL(name)).origin;
  }

  /** Stops and, unless it was given one, removes the state. */
  async stop({ keepState = !this.#ownState } = {}) {
    this.#agent.destroy();
    await this.#miniflare?.dispose();
    this.#miniflare = undefined;
    if (!keepState) rmSync(this.#state, { recursive: true, force: true });
  }

  /** Stops and starts again on the same state, with other options where given. */
  async restart(changes = {}) {
    await this.restartAfter(() => (this.#options = { ...this.#options, ...changes }));
  }

  /** Stops, does `work`, and starts again on the same state. */
  async restartAfter(work) {
    await this.stop({ keepState: true });
    work();
    this.#agent = newAgent();
    await this.start();
  }

  /** One request to another address, such as one of `edges`. */
  at(url, path, { key }) {
    return send(url, path, { agent: this.#agent, headers: { authorization: `Bearer ${key}` } });
  }

  /** One request. `key` goes into `Authorization: Bearer`; `json` or `form` is the body, with its content type. */
  call(path, { key, json, form, headers = {}, body, ...rest } = {}) {
    const all = { ...headers };
    if (key !== undefined) all.authorization = `Bearer ${key}`;
    if (json !== undefined) all["content-type"] ??= "application/json";
    if (form !== undefined) all["content-type"] ??= "application/x-www-form-urlencoded";
    const sent =
      json !== undefined ? JSON.stringify(json) : form !== undefined ? String(new URLSearchParams(form)) : body;
    return send(this.url, path, { agent: this.#agent, ...rest, headers: all, body: sent });
  }

  raw(bytes, options) {
    return raw(this.port, bytes, options);
  }

  /** Makes the first owner; `owner` is their credential from then on. */
  async bootstrap(member = { name: "Olive Owner", email: "olive@acme.example" }) {
    const answer = await this.call("/_keyward/v1/bootstrap", {
      method: "POST",
      key: SECRETS.BOOTSTRAP_TOKEN,
      json: member,
    });
    if (answer.status === 201) this.owner = answer.json.api_key;
    return answer;
  }

  /** Sends a request that may come in bulk: waits as `Retry-After` says while the rate of its credential is used up. */
  async callPatiently(path, request) {
    for (;;) {
      const answer = await this.call(path, request);
      if (answer.status !== 429) return answer;
      await new Promise((resolve) => setTimeout(resolve, 1_000 * Number(answer.headers["retry-after"])));
    }
  }

  /** Issues a key as the owner, with sensible values where none are given. */
  issue(fields = {}) {
    return this.callPatiently("/_keyward/v1/keys", { method: "POST", key: this.owner, json: draft(fields) });
  }

  /** Issues a key and gives `{id, apiKey}`; refusals are errors of the test. */
  async newKey(fields) {
    const answer = await this.issue(fields);
    if (answer.status !== 201) throw new Error(`not issued: ${answer.status} ${answer.text}`);
    return { id: answer.json.key.id, apiKey: answer.json.api_key };
  }

  revoke(id, reason = "leaked") {
    const request = { method: "POST", key: this.owner, json: { reason } };
    return this.callPatiently(`/_keyward/v1/keys/${id}/revoke`, request);
  }

  /** Gives the stores orders, like `{kvGet: "fail"}`. Instrumented gates only. */
  async order(orders) {
    await this.call("/__test/order", { method: "POST", body: JSON.stringify(orders) });
  }

  /** Runs statements in the registry's own SQLite while it runs. Instrumented gates only. */
  async disturb(statements) {
    const answer = await this.call("/__test/disturb", { method: "POST", body: JSON.stringify(statements) });
    if (answer.status !== 200) throw new Error(answer.text);
  }

  /** Marks the wasm instance as one that has panicked. Instrumented gates only. */
  async breakInstance() {
    await this.call("/__test/break", { method: "POST", body: "" });
  }

  /** Changes variables and secrets under the running isolate, as a deployment of nothing else can. Instrumented gates only. */
  async changeVariables(variables) {
    await this.call("/__test/change", { method: "POST", body: JSON.stringify(variables) });
  }

  /** Writes a line into the worker's log. Instrumented gates only. */
  async say(line) {
    await this.call("/__test/say", { method: "POST", body: line });
    await this.logged((logged) => logged.includes(line));
  }

  /** What was counted since the last call: `{kvGet, kvPut, registry, lookup, changes, crossings, departures}`. Instrumented gates only. */
  async take() {
    return (await this.call("/__test/take", { method: "POST", body: "" })).json;
  }

  kv() {
    return this.#miniflare.getKVNamespace("KEY_INDEX", NAME);
  }

  /** The namespace of the registry's object, to speak to it without the worker. */
  namespace() {
    return this.#miniflare.getDurableObjectNamespace("REGISTRY", NAME);
  }

  /** Runs one statement on the registry's own SQLite file, from outside. Only to be used while the gate is stopped. */
  tamper(statement) {
    const database = new DatabaseSync(this.#registryFile());
    database.exec(statement);
    database.close();
  }

  /** Reads the registry's own SQLite file, from outside. */
  sql(statement, ...parameters) {
    const database = new DatabaseSync(this.#registryFile(), { readOnly: true });
    try {
      return database
        .prepare(statement)
        .all(...parameters)
        .map((row) => ({ ...row }));
    } finally {
      database.close();
    }
  }

  #registryFile() {
    const folder = join(this.#state, "do", `${NAME}-Registry`);
    const files = readdirSync(folder).filter((name) => /^[0-9a-f]{64}\.sqlite$/.test(name));
    if (files.length !== 1) throw new Error(`there must be one registry object, not ${files.length}`);
    return join(folder, files[0]);
  }

  /** Resolves with the first line of the log, past or to come, that `fits`. */
  logged(fits, { within = 8_000 } = {}) {
    const past = this.logs.find(fits);
    if (past !== undefined) return Promise.resolve(past);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`not logged within ${within} ms: ${fits}`)), within);
      this.#waiting.push({ fits, resolve: (line) => (clearTimeout(timer), resolve(line)) });
    });
  }

  #log(line) {
    this.logs.push(line);
    const fitting = this.#waiting.filter(({ fits }) => fits(line));
    this.#waiting = this.#waiting.filter((one) => !fitting.includes(one));
    for (const { resolve } of fitting) resolve(line);
  }
}

let drafts = 0;

function draft(fields) {
  drafts += 1;
  return {
    name: `Sync ${drafts}`,
    integration: `sync-${drafts}`,
    environment: "live",
    purpose: "Nightly contact sync to the CRM",
    owner: "ops@acme.example",
    scopes: ["contacts:read"],
    ...fields,
  };
}

function modules(instrumented) {
  const build = {
    "index.js": { type: "esm", contents: readFileSync(join(BUILD_DIR, "index.js"), "utf8") },
    "index_bg.wasm": { type: "wasm", contents: readFileSync(join(BUILD_DIR, "index_bg.wasm")) },
  };
  if (!instrumented) return { mainModule: "index.js", modulesRoot: BUILD_DIR, modules: build };
  const equipment = ["counting-entry.mjs", "wasm-crossings.mjs"].map((name) => [
    name,
    { type: "esm", contents: readFileSync(join(HERE, name), "utf8") },
  ]);
  return {
    mainModule: "counting-entry.mjs",
    modulesRoot: BUILD_DIR,
    modules: { ...Object.fromEntries(equipment), ...build },
  };
}

const neighbour = ([name, { source, env = {} }]) => ({
  config: {
    name,
    compatibilityDate: COMPATIBILITY_DATE,
    compatibilityFlags: [],
    manifest: { mainModule: "index.js", modulesRoot: HERE, modules: { "index.js": { type: "esm", contents: source } } },
    env: { ...varBindings(env), GATE: { type: "worker", worker: NAME } },
  },
  dev: { stripCfConnectingIp: false, unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }] },
});

const varBindings = (vars) =>
  Object.fromEntries(
    Object.entries(vars)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, { type: typeof value === "string" ? "text" : "json", value }]),
  );

const STORES = {
  KEY_INDEX: { type: "kv", id: "KEY_INDEX" },
  REGISTRY: { type: "durable-object", worker: NAME, exportName: "Registry" },
};

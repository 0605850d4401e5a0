// Starts the real build in workerd, with a real KV namespace and a real SQLite object, and sends requests over HTTP.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Log, LogLevel, Miniflare } from "miniflare";
import { ASSETS_BINDING, assetsWorker } from "../../../tools/assets-worker.mjs";
import { newAgent, send } from "./client.mjs";
import { raw } from "./raw.mjs";
import { ASSETS_DIR, BUILD_DIR, COMPATIBILITY_DATE, SECRETS, VARS } from "./settings.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const NAME = "keyward";

/** [assets] of wrangler.toml. */
const STATIC_ASSETS = {
  directory: ASSETS_DIR,
  runWorkerFirst: true,
  htmlHandling: "none",
  notFoundHandling: "none",
  hasUserWorker: true,
};

/**
 * Starts a gate. With `staticAssets` the console's files are in Workers Static Assets, otherwise in a worker as under `npm start`. `vars` override the tests' defaults. `instrumented` wraps it in counting-entry.mjs. `state` is a folder that outlives the
 * gate; without it the gate has a temporary one, removed at `stop`. `edges` is the number of further workers of the same build with the
 * same registry and KV; each is an isolate, and their addresses are in `edges`. `bindings` are further bindings in the form of miniflare. `build` and `edgeBuild` are the folders of the builds. `neighbours` are other workers in the same runtime, by
 * name: `{source, env}`. `GATE` in their `env` is a service binding to this gate.
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
    const { vars = {}, instrumented = false, edges = 0, neighbours = {}, staticAssets = false } = this.#options;
    const { build = BUILD_DIR, edgeBuild = build, bindings = {} } = this.#options;
    const names = [NAME, ...Array.from({ length: edges }, (_, at) => `edge-${at + 1}`)];
    const worker = (name) => ({
      config: {
        name,
        compatibilityDate: COMPATIBILITY_DATE,
        compatibilityFlags: [],
        manifest: modules(instrumented, name === NAME ? build : edgeBuild),
        env: {
          ...varBindings({ ...VARS, ...SECRETS, ...vars }),
          ...STORES,
          ...bindings,
          ...(staticAssets ? { ASSETS: { type: "assets" } } : ASSETS_BINDING),
        },
        ...(staticAssets && { assets: STATIC_ASSETS }),
        ...(name === NAME && {
          exports: {
            Registry: { type: "durable-object", storage: "sqlite" },
            Usage: { type: "durable-object", storage: "sqlite" },
            Limits: { type: "durable-object", storage: "sqlite" },
            Events: { type: "durable-object", storage: "sqlite" },
          },
        }),
      },
      // Without these settings Miniflare puts a proxy between the client, the worker and the origin.
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
      workers: [
        ...names.map(worker),
        assetsWorker(ASSETS_DIR, COMPATIBILITY_DATE),
        ...Object.entries(neighbours).map(neighbour),
      ],
    });
    await this.#miniflare.ready;
    this.url = (await this.#miniflare.unsafeGetDirectURL(NAME)).origin;
    this.port = Number(new URL(this.url).port);
    this.edges = await Promise.all(
      names.slice(1).map(async (name) => (await this.#miniflare.unsafeGetDirectURL(name)).origin),
    );
  }

  /** Returns the address of a neighbour. */
  async neighbour(name) {
    return (await this.#miniflare.unsafeGetDirectURL(name)).origin;
  }

  /** Stops the gate, and removes its state unless `state` was given. */
  async stop({ keepState = !this.#ownState } = {}) {
    this.#agent.destroy();
    await this.#miniflare?.dispose();
    this.#miniflare = undefined;
    if (!keepState) rmSync(this.#state, { recursive: true, force: true });
  }

  /** Restarts the gate on the same state, with `changes` of its options. */
  async restart(changes = {}) {
    await this.restartAfter(() => (this.#options = { ...this.#options, ...changes }));
  }

  /** Stops the gate, runs `work`, and starts it on the same state. */
  async restartAfter(work) {
    await this.stop({ keepState: true });
    work();
    this.#agent = newAgent();
    await this.start();
  }

  /** Sends a request to another address, such as one of `edges`. */
  at(url, path, { key }) {
    return send(url, path, { agent: this.#agent, headers: { authorization: `Bearer ${key}` } });
  }

  /**
   * Sends a request. `key` is sent as `Authorization: Bearer`; `json` or `form` is the body, with its content type. A path of
   * Keyward's own goes to `CONTROL_HOST`, if that is set, unless `headers` has another `host`.
   * @param {string} path
   * @param {{ key?: string, json?: any, form?: any, headers?: Record<string, any>, body?: any, method?: string }} [request]
   */
  call(path, { key, json, form, headers = {}, body, ...rest } = {}) {
    const all = { ...headers };
    const controlHost = this.#options.vars?.CONTROL_HOST;
    if (controlHost && path.startsWith("/_keyward/")) all.host ??= controlHost;
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

  /** Creates the first owner and stores the credential in `owner`. */
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
      await pause(1_000 * Number(answer.headers["retry-after"]));
    }
  }

  /** Issues a key as the owner, with default values for missing fields. */
  issue(fields = {}) {
    return this.callPatiently("/_keyward/v1/keys", { method: "POST", key: this.owner, json: draft(fields) });
  }

  /** Issues a key and returns `{id, apiKey}`. Throws if it is refused. */
  async newKey(fields) {
    const answer = await this.issue(fields);
    if (answer.status !== 201) throw new Error(`Key not issued: ${answer.status} ${answer.text}`);
    return { id: answer.json.key.id, apiKey: answer.json.api_key };
  }

  revoke(id, reason = "leaked") {
    const request = { method: "POST", key: this.owner, json: { reason } };
    return this.callPatiently(`/_keyward/v1/keys/${id}/revoke`, request);
  }

  /** Sets the behaviour of the stores, such as `{kvGet: "fail"}`. Instrumented gates only. */
  async order(orders) {
    await this.call("/__test/order", { method: "POST", body: JSON.stringify(orders) });
  }

  /** Executes statements in the SQLite of the running registry. Instrumented gates only. */
  async disturb(statements) {
    const answer = await this.call("/__test/disturb", { method: "POST", body: JSON.stringify(statements) });
    if (answer.status !== 200) throw new Error(answer.text);
  }

  /** Marks the wasm instance as panicked. Instrumented gates only. */
  async breakInstance() {
    await this.call("/__test/break", { method: "POST", body: "" });
  }

  /** Changes variables and secrets of the running isolate, as a deployment without new code may. Instrumented gates only. */
  async changeVariables(variables) {
    await this.call("/__test/change", { method: "POST", body: JSON.stringify(variables) });
  }

  /** Writes a line to the worker's log. Instrumented gates only. */
  async say(line) {
    await this.call("/__test/say", { method: "POST", body: line });
    await this.logged((logged) => logged.includes(line));
  }

  /** Returns and resets the counts: `{kvGet, kvPut, registry, lookup, changes, crossings, departures}`. Instrumented gates only. */
  async take() {
    return (await this.call("/__test/take", { method: "POST", body: "" })).json;
  }

  kv() {
    return this.#miniflare.getKVNamespace("KEY_INDEX", NAME);
  }

  /** Returns the namespace of the registry's object, to call it without the worker. */
  namespace() {
    return this.#miniflare.getDurableObjectNamespace("REGISTRY", NAME);
  }

  /** Executes one statement on the SQLite file of the stopped registry. */
  tamper(statement) {
    const database = new DatabaseSync(this.#registryFile());
    database.exec(statement);
    database.close();
  }

  /** Queries the SQLite file of the registry. */
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
    if (files.length !== 1) throw new Error(`Expected one registry object, found ${files.length}`);
    return join(folder, files[0]);
  }

  /** Resolves with the first line of the log, past or future, for which `fits` is true. */
  logged(fits, { within = 8_000 } = {}) {
    const past = this.logs.find(fits);
    if (past !== undefined) return Promise.resolve(past);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`No matching log line within ${within} ms: ${fits}`)), within);
      const resolveInTime = (line) => {
        clearTimeout(timer);
        resolve(line);
      };
      this.#waiting.push({ fits, resolve: resolveInTime });
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

export function draft(fields = {}) {
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

function modules(instrumented, folder) {
  const build = {
    "index.js": { type: "esm", contents: readFileSync(join(folder, "index.js"), "utf8") },
    "index_bg.wasm": { type: "wasm", contents: readFileSync(join(folder, "index_bg.wasm")) },
  };
  if (!instrumented) return { mainModule: "index.js", modulesRoot: folder, modules: build };
  const equipment = ["counting-entry.mjs", "wasm-crossings.mjs"].map((name) => [
    name,
    { type: "esm", contents: readFileSync(join(HERE, name), "utf8") },
  ]);
  return {
    mainModule: "counting-entry.mjs",
    modulesRoot: folder,
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
  USAGE: { type: "durable-object", worker: NAME, exportName: "Usage" },
  LIMITS: { type: "durable-object", worker: NAME, exportName: "Limits" },
  EVENTS: { type: "durable-object", worker: NAME, exportName: "Events" },
};

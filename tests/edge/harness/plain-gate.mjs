// Starts the real build in plain workerd, without Miniflare, so that bytes on the socket reach the worker as
// they were sent. KV is a small server that implements workerd's KV interface; the object's SQLite is on disk.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { workerd } from "../../../tools/selfhost.mjs";
import { newAgent, send } from "./client.mjs";
import { portOf } from "./ports.mjs";
import { raw } from "./raw.mjs";
import { ASSETS_DIR, BUILD_DIR, COMPATIBILITY_DATE, SECRETS, VARS } from "./settings.mjs";

const WORKERD = workerd().path;

/** Starts a gate on plain workerd. `vars` override the tests' defaults. */
export async function startPlainGate({ vars = {} } = {}) {
  const kv = await startKv();
  const folder = mkdtempSync(join(tmpdir(), "keyward-plain-"));
  mkdirSync(join(folder, "state"));
  for (const file of ["index.js", "index_bg.wasm"]) copyFileSync(join(BUILD_DIR, file), join(folder, file));
  writeFileSync(
    join(folder, "gate.capnp"),
    configuration({ ...VARS, ...SECRETS, ...vars }, kv.port, join(folder, "state")),
  );
  const gate = new PlainGate(kv, folder);
  await gate.start();
  return gate;
}

class PlainGate {
  #process;
  #kv;
  #folder;
  #agent = newAgent();
  logs = [];
  owner = null;

  constructor(kv, folder) {
    [this.#kv, this.#folder] = [kv, folder];
  }

  /** Starts workerd on the gate's state, at another port. */
  async start() {
    const process = spawn(WORKERD, ["serve", "gate.capnp", "--control-fd=3", "--verbose"], {
      cwd: this.#folder,
      stdio: ["ignore", "pipe", "pipe", "pipe"],
    });
    this.#process = process;
    for (const stream of [process.stdout, process.stderr])
      stream.on("data", (part) => this.logs.push(...String(part).split("\n").filter(Boolean)));
    await this.listening();
  }

  /** Ends workerd at once, with everything in its memory. Its state remains. */
  async kill() {
    this.#agent.destroy();
    this.#agent = newAgent();
    const ended = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await ended;
  }

  async listening() {
    let output = "";
    for await (const part of this.#process.stdio[3]) {
      output += part;
      const port = /"event":"listen".*?"port":(\d+)/.exec(output)?.[1];
      if (port === undefined) continue;
      this.port = Number(port);
      this.url = `http://127.0.0.1:${port}`;
      return;
    }
    throw new Error(`workerd did not start:\n${this.logs.join("\n")}`);
  }

  get pid() {
    return this.#process.pid;
  }

  async stop() {
    // After SIGTERM it would wait for every connection that a test has left open.
    await this.kill();
    await this.#kv.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  raw(bytes, options) {
    return raw(this.port, bytes, options);
  }

  /**
   * @param {string} path
   * @param {{ key?: string, json?: any, headers?: Record<string, any>, body?: any, method?: string }} [request]
   */
  call(path, { key, json, headers = {}, ...rest } = {}) {
    const all = {
      ...headers,
      ...(key && { authorization: `Bearer ${key}` }),
      ...(json && { "content-type": "application/json" }),
    };
    return send(this.url, path, {
      agent: this.#agent,
      ...rest,
      headers: all,
      ...(json && { body: JSON.stringify(json) }),
    });
  }

  async bootstrap() {
    const json = { name: "Olive Owner", email: "olive@acme.example" };
    this.owner = (
      await this.call("/_keyward/v1/bootstrap", { method: "POST", key: SECRETS.BOOTSTRAP_TOKEN, json })
    ).json.api_key;
  }

  /** Issues a key as the owner and returns `{id, apiKey}`. */
  async newKey(fields) {
    const rest = {
      name: fields.integration,
      environment: "live",
      purpose: "hostile",
      owner: "ops@acme.example",
      scopes: ["contacts:read"],
    };
    const answer = await this.call("/_keyward/v1/keys", {
      method: "POST",
      key: this.owner,
      json: { ...rest, ...fields },
    });
    if (answer.status !== 201) throw new Error(`Key not issued: ${answer.status} ${answer.text}`);
    return { id: answer.json.key.id, apiKey: answer.json.api_key };
  }

  revoke(id) {
    return this.call(`/_keyward/v1/keys/${id}/revoke`, { method: "POST", key: this.owner, json: { reason: "leaked" } });
  }
}

/** Starts a server for the part of workerd's KV interface that the product uses: GET and PUT of a name. */
async function startKv() {
  const values = new Map();
  const server = createServer(async (request, response) => {
    const name = decodeURIComponent(new URL(request.url, "http://kv").pathname.slice(1));
    const parts = [];
    for await (const part of request) parts.push(part);
    if (request.method === "PUT") values.set(name, Buffer.concat(parts));
    const value = values.get(name);
    response.writeHead(value === undefined ? 404 : 200).end(request.method === "GET" ? value : undefined);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const close = async () => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  };
  return { port: portOf(server), values, close };
}

function configuration(vars, kvPort, state) {
  const text = (value) => JSON.stringify(String(value));
  const bindings = Object.entries(vars)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) =>
      typeof value === "string"
        ? `(name = "${name}", text = ${text(value)})`
        : `(name = "${name}", json = ${text(JSON.stringify(value))})`,
    );
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "keyward", worker = .keyward),
    (name = "kv", external = (address = "127.0.0.1:${kvPort}", http = ())),
    (name = "state", disk = (path = ${text(state)}, writable = true)),
    (name = "assets", disk = (path = ${text(ASSETS_DIR)})),
    (name = "internet", network = (allow = ["public", "private", "local"])),
  ],
  sockets = [(name = "gate", address = "127.0.0.1:0", http = (), service = "keyward")],
);
const keyward :Workerd.Worker = (
  modules = [(name = "index.js", esModule = embed "index.js"), (name = "./index_bg.wasm", wasm = embed "index_bg.wasm")],
  compatibilityDate = "${COMPATIBILITY_DATE}",
  bindings = [
    (name = "KEY_INDEX", kvNamespace = "kv"),
    (name = "REGISTRY", durableObjectNamespace = "Registry"),
    (name = "USAGE", durableObjectNamespace = "Usage"),
    (name = "EVENTS", durableObjectNamespace = "Events"),
    (name = "ASSETS", service = "assets"),
    (name = "LIMITS", durableObjectNamespace = "Limits"),
    ${bindings.join(",\n    ")},
  ],
  durableObjectNamespaces = [
    (className = "Registry", uniqueKey = "keyward", enableSql = true),
    (className = "Usage", uniqueKey = "keyward-usage", enableSql = true),
    (className = "Limits", uniqueKey = "keyward-limits", enableSql = true),
    (className = "Events", uniqueKey = "keyward-events", enableSql = true),
  ],
  durableObjectStorage = (localDisk = "state"),
);
`;
}

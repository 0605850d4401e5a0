// A self-hosted deployment as `npm run selfhost` makes it, started by its own `start` with a file of settings.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Agent } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { assemble, workerd } from "../../../tools/selfhost.mjs";
import { send } from "./client.mjs";
import { draft } from "./gate.mjs";
import { testPorts } from "./ports.mjs";
import { raw } from "./raw.mjs";
import { BUILD_DIR, SECRETS, VARS } from "./settings.mjs";
import { until } from "./wait.mjs";

export const CONTROL_HOST = "keys.acme.example";

/** Makes a release of a build in a temporary folder, and starts it. `vars` override the tests' defaults. */
export async function startSelfHosted({ vars = {}, build = BUILD_DIR } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "keyward-selfhost-"));
  const deployment = new SelfHosted(folder, await testPorts(), vars);
  deployment.install(build);
  await deployment.start();
  return deployment;
}

class SelfHosted {
  #process;
  #vars;
  #agents = new Map();
  logs = [];
  owner = null;

  constructor(folder, port, vars) {
    this.folder = folder;
    this.port = port;
    this.controlPort = port + 1;
    this.#vars = vars;
    this.url = `http://127.0.0.1:${port}`;
    this.controlUrl = `http://127.0.0.1:${this.controlPort}`;
  }

  get release() {
    return join(this.folder, "release");
  }

  get data() {
    return join(this.folder, "data");
  }

  get pid() {
    return this.#process.pid;
  }

  /** Makes a release of a build, over an earlier one. Its runtime is a script that runs workerd, because copies of workerd take time. */
  install(build) {
    const runtime = join(this.folder, "workerd");
    writeFileSync(runtime, `#!/bin/sh\nexec '${workerd().path}' "$@"\n`, { mode: 0o755 });
    assemble(this.release, { folder: build, runtime });
  }

  /** Starts on the data as it is, with `changes` of the settings. */
  async start(changes = {}) {
    this.#vars = { ...this.#vars, ...changes };
    const { ROUTES, ...vars } = { CONTROL_HOST, ...VARS, ...this.#vars };
    const files = { ...SECRETS, ROUTES: JSON.stringify(ROUTES) };
    const lines = Object.entries(files).map(([name, content]) => {
      writeFileSync(join(this.folder, name), content, { mode: 0o600 });
      return `${name}_FILE=${join(this.folder, name)}`;
    });
    const all = {
      ...vars,
      KEYWARD_DATA: this.data,
      LISTEN_GATE: `127.0.0.1:${this.port}`,
      LISTEN_CONTROL: `127.0.0.1:${this.controlPort}`,
    };
    for (const [name, value] of Object.entries(all))
      if (value !== undefined) lines.push(`${name}=${typeof value === "string" ? value : JSON.stringify(value)}`);
    writeFileSync(join(this.folder, "settings"), lines.join("\n"));
    const child = spawn(join(this.release, "start"), [join(this.folder, "settings")], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#process = child;
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (part) => this.logs.push(...String(part).split("\n").filter(Boolean)));
    await until("the deployment answers", async () => {
      if (child.exitCode !== null) throw new Error(`It ended with ${child.exitCode}:\n${this.logs.join("\n")}`);
      return send(this.url, "/_keyward/health").catch(() => undefined);
    });
  }

  /** Ends the process, and returns its exit code; `null` after a signal that it did not handle. The data remains. */
  async end(signal) {
    for (const agent of this.#agents.values()) agent.destroy();
    this.#agents.clear();
    const ended = once(this.#process, "exit");
    this.#process.kill(signal);
    return (await ended)[0];
  }

  async stop() {
    if (this.#process.exitCode === null && this.#process.signalCode === null) await this.end("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Runs `backup`, which pauses a running deployment. */
  async backup(copy) {
    const child = spawn(join(this.release, "backup"), [this.data, copy], { stdio: ["ignore", "ignore", "pipe"] });
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text));
    const [status] = await once(child, "close");
    return { status, stderr };
  }

  raw(bytes, options) {
    return raw(this.port, bytes, options);
  }

  /**
   * Sends a request from `from`, an address of this machine. Keyward's own paths go to the control plane's socket and host, unless
   * `isGate` is set.
   * @param {string} path
   * @param {{ key?: string, json?: any, headers?: Record<string, any>, body?: any, method?: string, isGate?: boolean, from?: string }} [request]
   */
  call(
    path,
    { key, json, headers = {}, isGate = !path.startsWith("/_keyward/"), from = "127.0.0.1", body, ...rest } = {},
  ) {
    const all = {
      ...(!isGate && { host: CONTROL_HOST }),
      ...headers,
      ...(key && { authorization: `Bearer ${key}` }),
      ...(json && { "content-type": "application/json" }),
    };
    if (!this.#agents.has(from)) {
      this.#agents.set(from, new Agent({ keepAlive: true, maxSockets: 64, localAddress: from }));
    }
    const sent = json ? JSON.stringify(json) : body;
    const agent = this.#agents.get(from);
    return send(isGate ? this.url : this.controlUrl, path, { agent, ...rest, headers: all, body: sent });
  }

  /** Makes the first owner, whose credential is then in `owner`. */
  async bootstrap() {
    const json = { name: "Olive Owner", email: "olive@acme.example" };
    const answer = await this.call("/_keyward/v1/bootstrap", { method: "POST", key: SECRETS.BOOTSTRAP_TOKEN, json });
    this.owner = answer.json.api_key;
  }

  issue(fields = {}) {
    return this.call("/_keyward/v1/keys", { method: "POST", key: this.owner, json: draft(fields) });
  }

  /** Issues a key as the owner and returns `{id, apiKey}`. */
  async newKey(fields) {
    const answer = await this.issue(fields);
    if (answer.status !== 201) throw new Error(`Key not issued: ${answer.status} ${answer.text}`);
    return { id: answer.json.key.id, apiKey: answer.json.api_key };
  }

  revoke(id, reason = "leaked") {
    return this.call(`/_keyward/v1/keys/${id}/revoke`, { method: "POST", key: this.owner, json: { reason } });
  }

  /** Reads the registry's database, or that of another folder of objects. */
  sql(statement, { objects = join(this.data, "objects"), name = "registry" } = {}) {
    const folder = join(objects, name);
    const [file] = readdirSync(folder).filter((entry) => /^[0-9a-f]{64}\.sqlite$/.test(entry));
    const database = new DatabaseSync(join(folder, file), { readOnly: true });
    try {
      return database.prepare(statement).all();
    } finally {
      database.close();
    }
  }

  /** Returns the parts of a process that other programs see: its arguments. */
  commandLine() {
    return existsSync(`/proc/${this.pid}/cmdline`) ? readFileSync(`/proc/${this.pid}/cmdline`, "utf8") : "";
  }
}

// A local deployment as `npm start` runs it: the real worker, which serves the console on its control host, and the demo origin.

import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as pause } from "node:timers/promises";
import { startDemoOrigin } from "../../../tools/demo-origin.mjs";
import { localSettings } from "../../../tools/local-settings.mjs";
import { startWorker } from "../../../tools/local-worker.mjs";
import { readWranglerToml } from "../../../tools/wrangler-toml.mjs";
import { newAgent, send } from "../../edge/harness/client.mjs";
import { testPorts } from "../../edge/harness/ports.mjs";

const DEV_VARS = {
  KEYWARD_SECRET: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
  BOOTSTRAP_TOKEN: "a-bootstrap-token-of-the-console-tests",
  REQUIRE_HTTPS: "false", // as in the .dev.vars that `npm start` makes
};

/** Starts a deployment. With `owner` false nobody has made the first owner yet. */
export async function startDeployment({ owner = true } = {}) {
  const deployment = new Deployment();
  await deployment.start();
  if (owner) await deployment.bootstrap();
  return deployment;
}

class Deployment {
  #state = mkdtempSync(join(tmpdir(), "keyward-console-"));
  #agent = newAgent();
  #worker;
  #demo;
  token = DEV_VARS.BOOTSTRAP_TOKEN;
  /** Address of the console, and of the gate. */
  url = "";
  gate = "";
  owner = "";

  async start() {
    const config = readWranglerToml();
    const port = await testPorts();
    const { vars, ports, gate, control } = localSettings({ shipped: config.vars, devVars: DEV_VARS, port });
    this.#demo = await startDemoOrigin(port + 1);
    this.#worker = await startWorker({ config, vars, ports, state: this.#state });
    [this.url, this.gate] = [control, gate];
  }

  async stop() {
    this.#agent.destroy();
    await this.#worker?.dispose();
    this.#demo?.closeAllConnections();
    this.#demo?.close();
    rmSync(this.#state, { recursive: true, force: true });
  }

  /**
   * Adds `count` keys like an issued one to the registry's store, each with an integration of its own, and starts again at other addresses.
   * Issuing them through the API would take minutes.
   * @param {string} like
   */
  async addKeys(count, like) {
    await this.#worker.dispose();
    this.#demo.close();
    const store = this.#registry();
    const columns = store
      .prepare("SELECT name FROM pragma_table_info('keys')")
      .all()
      .map(({ name }) => String(name));
    const changed = {
      position: "(SELECT max(position) FROM keys) + i",
      revision: "(SELECT max(position) FROM keys) + i",
      id: "printf('wafl_live_%012d', i)",
      key_hash: "printf('%064x', i)",
      name: "printf('Partner %05d', i)",
      integration: "printf('partner-%05d', i)",
      owner: "printf('team-%02d@acme.example', i % 40)",
      limit_group: "NULL",
    };
    store
      .prepare(
        `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
         INSERT INTO keys (${columns.join(", ")})
         SELECT ${columns.map((name) => changed[name] ?? name).join(", ")} FROM n, keys WHERE keys.id = ?`,
      )
      .run(count, like);
    store.exec("UPDATE meta SET value = (SELECT max(revision) FROM keys) WHERE name = 'revision'");
    store.close();
    await this.start();
  }

  /** Opens the registry's database, which nobody may have open. */
  #registry() {
    const files = readdirSync(this.#state, { recursive: true }).map(String);
    for (const file of files.filter((name) => name.endsWith(".sqlite"))) {
      const store = new DatabaseSync(join(this.#state, file));
      if (store.prepare("SELECT 1 FROM sqlite_master WHERE name = 'audit'").get()) return store;
      store.close();
    }
    throw new Error(`No registry below ${this.#state}: ${files.join(", ")}`);
  }

  async bootstrap() {
    const json = { name: "Olivia Owner", email: "olivia@acme.example" };
    this.owner = (await this.call("POST", "/bootstrap", { json, by: this.token })).json.api_key;
  }

  /**
   * Calls an operation below `/_keyward/v1` and waits while the rate of its credential is used up.
   * @param {string} method
   * @param {string} path
   * @param {{ json?: any, by?: string }} [options]
   */
  async call(method, path, { json, by = this.owner } = {}) {
    const headers = { authorization: `Bearer ${by}`, ...(json && { "content-type": "application/json" }) };
    for (;;) {
      const answer = await send(this.url, `/_keyward/v1${path}`, {
        agent: this.#agent,
        method,
        headers,
        body: json && JSON.stringify(json),
      });
      if (answer.status !== 429) return answer;
      await pause(1_000 * Number(answer.headers["retry-after"]));
    }
  }

  /** Makes a member and returns the credential. */
  async member(role, { name = `A ${role}`, environments = null } = {}) {
    const email = `${name.toLowerCase().replaceAll(/[^a-z]+/g, ".")}@acme.example`;
    const answer = await this.call("POST", "/members", { json: { name, email, role, environments } });
    if (answer.status !== 201) throw new Error(answer.text);
    return answer.json.api_key;
  }

  /** Issues a key and returns `{ key, api_key }`. */
  async issue(integration, fields = {}) {
    const draft = {
      name: integration,
      integration,
      environment: "live",
      purpose: "Nightly contact sync to the CRM",
      owner: "ops@acme.example",
      scopes: ["contacts:read"],
      ...fields,
    };
    const answer = await this.call("POST", "/keys", { json: draft });
    if (answer.status !== 201) throw new Error(answer.text);
    return answer.json;
  }

  /** Reports leaked keys at the gate, as anybody may. */
  async reportLeak(json) {
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify(json);
    const answer = await send(this.gate, "/_keyward/v1/leaks", { agent: this.#agent, method: "POST", headers, body });
    if (answer.status !== 202) throw new Error(answer.text);
  }

  /** Returns the status of a request through the gate. */
  async request(apiKey, path = "/v1/contacts") {
    const headers = { authorization: `Bearer ${apiKey}` };
    return (await send(this.gate, path, { agent: this.#agent, headers })).status;
  }
}

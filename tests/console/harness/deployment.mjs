// A local deployment as `npm start` runs it: the real worker, which serves the console on its control host, and the demo origin.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
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

// A local deployment, as the steps of the demo see it: its API, and what earlier steps have made.

import { setTimeout as sleep } from "node:timers/promises";

/** Number of times that a request is sent again after a 429. */
const RETRIES = 10;

export class Deployment {
  #gate;
  #control;
  #owner = "";
  /** @type {Set<string>} */
  #operations = new Set();
  /** Credentials by role. @type {Record<string, string>} */
  signIns = {};
  /** Issued keys by integration and environment. @type {Map<string, { id: string, text: string }>} */
  keys = new Map();
  /** What is written of the past of keys, once no worker runs. @type {import("./history.mjs").Past[]} */
  pasts = [];
  /** Address of a receiver of events, without a path. */
  receiver;

  constructor(gate, control, receiver) {
    [this.#gate, this.#control, this.receiver] = [gate, control, receiver];
  }

  /** Makes the owner, and learns which operations there are. */
  async begin(token) {
    const json = { name: "Olivia Owner", email: "olivia@acme.example" };
    const made = await this.#send("POST", "/_keyward/v1/bootstrap", json, token);
    this.#owner = made.api_key;
    this.signIns.owner = made.api_key;
    const document = await this.#send("GET", "/_keyward/openapi.json");
    for (const [path, methods] of Object.entries(document.paths))
      for (const method of Object.keys(methods)) this.#operations.add(`${method.toUpperCase()} ${path}`);
  }

  /** Whether there is an operation, such as `POST /_keyward/v1/incidents`. */
  has(operation) {
    return this.#operations.has(operation);
  }

  /** Calls an operation below `/_keyward/v1` as the owner, or with the credential `by`, and returns its answer. Throws if it is refused. */
  call(method, path, json, by = this.#owner) {
    return this.#send(method, `/_keyward/v1${path}`, json, by);
  }

  /** Makes a member and keeps the credential for the role. */
  async member(role, name, fields = {}) {
    const email = `${name.split(" ")[0].toLowerCase()}@acme.example`;
    const made = await this.call("POST", "/members", { name, email, role, environments: null, ...fields });
    this.signIns[role] ??= made.api_key;
    return made;
  }

  /** Issues a key and keeps it. */
  async issue(integration, fields) {
    const draft = { integration, name: integration, environment: "live", owner: "platform@acme.example", ...fields };
    const { key, api_key: text } = await this.call("POST", "/keys", draft);
    this.keys.set(`${integration} ${draft.environment}`, { id: key.id, text });
    return key;
  }

  /** Returns the kept key of an integration. */
  key(integration, environment = "live") {
    const kept = this.keys.get(`${integration} ${environment}`);
    if (kept === undefined) throw new Error(`The demo has issued no key for ${integration} in ${environment}.`);
    return kept;
  }

  /** Sends a request through the gate and returns the status. */
  async request(path, key, { method = "GET", headers = {} } = {}) {
    const sent = { "user-agent": "acme-sync/2.3", ...headers, ...(key && { authorization: `Bearer ${key}` }) };
    const answer = await fetch(`${this.#gate}${path}`, { method, headers: sent });
    await answer.arrayBuffer();
    return answer.status;
  }

  /** Reports leaked keys, as anybody may, and returns the answer. */
  report(json) {
    return this.#send("POST", "/_keyward/v1/leaks", json, undefined, this.#gate);
  }

  /** Waits until `happened` resolves with true. Throws after 40 seconds: usage is reported within half a minute. */
  async until(happened) {
    for (let tries = 0; tries < 200; tries += 1) {
      if (await happened()) return;
      await sleep(200);
    }
    throw new Error("What the demo waits for did not happen within 40 seconds.");
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {any} [json]
   * @param {string} [credential]
   * @param {string} [host]
   */
  async #send(method, path, json, credential, host = this.#control) {
    const headers = {
      ...(credential && { authorization: `Bearer ${credential}` }),
      ...(json && { "content-type": "application/json" }),
    };
    for (let tries = 0; ; tries += 1) {
      const answer = await fetch(`${host}${path}`, { method, headers, body: json && JSON.stringify(json) });
      if (answer.status === 429 && tries < RETRIES) {
        await answer.arrayBuffer();
        await sleep(1_000 * Number(answer.headers.get("retry-after") ?? 1));
        continue;
      }
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${method} ${path} was answered ${answer.status}: ${text}`);
      return text === "" ? null : JSON.parse(text);
    }
  }
}

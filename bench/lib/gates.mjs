// The measured gates as services of workerd, and the data that each needs in its store.

import { createHash, createHmac, hkdfSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { experimental_readRawConfig } from "wrangler";
import { mintKey, wrongTag } from "../../tests/edge/harness/keys.mjs";
import { SECRETS } from "../../tests/edge/harness/settings.mjs";
import { BUILD_DIR, ROOT, WRANGLER_TOML } from "../../tools/paths.mjs";
import { KV } from "./workerd.mjs";

const BENCH = join(ROOT, "bench");
const SHIPPED_ROUTES = experimental_readRawConfig({ config: WRANGLER_TOML }).rawConfig.vars.ROUTES;

/** Returns Keyward's build with the shipped routes. `registry` names the service that has the objects. `usage`: the build counts. */
export function keyward(
  origin,
  { registry = "keyward", build = BUILD_DIR, routes = SHIPPED_ROUTES, usage = true } = {},
) {
  return {
    modules: { "index.js": join(build, "index.js"), "index_bg.wasm": join(build, "index_bg.wasm") },
    bindings: {
      ...SECRETS,
      KEY_PREFIX: "wafl",
      ORIGIN_LIVE: origin.url,
      ROUTES: routes,
      REQUIRE_HTTPS: false,
      // Long enough that no refresh happens during a round.
      REVOCATION_BOUND_SECONDS: 300,
      KEY_INDEX: KV,
    },
    registry,
    usage,
  };
}

/** Returns the gates for comparison. build.mjs creates `honoFile` and `usualBuild`. */
export function peers(origin, { honoFile, usualBuild }) {
  const bindings = { ORIGIN: origin.url, KEYS: KV };
  return {
    forward: { modules: { "forward.mjs": join(BENCH, "peers", "forward.mjs") }, bindings },
    edit: { modules: { "edit.mjs": join(BENCH, "peers", "edit.mjs") }, bindings },
    bare: { modules: { "bare.mjs": join(BENCH, "peers", "bare.mjs") }, outbound: "origin" },
    hono: { modules: { "hono.mjs": honoFile }, bindings },
    usual: {
      modules: { "index.js": join(usualBuild, "index.js"), "index_bg.wasm": join(usualBuild, "index_bg.wasm") },
      bindings,
    },
  };
}

/** Service that calls the object of the service `registry` without its gate. */
export const asker = (registry) => ({ modules: { "ask.mjs": join(BENCH, "peers", "ask.mjs") }, registry });

/** Creates a key of the two peers, with its record in their store. */
export async function peerKey(origin) {
  const apiKey = mintKey({ identifier: "Peer00000001", secret: "Q".repeat(32) });
  const record = {
    id: "wafl_live_Peer00000001",
    integration: "crm-sync",
    environment: "live",
    scopes: ["contacts:read"],
    expires_at: Date.now() + 86_400_000,
  };
  await origin.put(createHash("sha256").update(apiKey).digest("hex"), JSON.stringify(record));
  return apiKey;
}

const PEPPER = Buffer.from(
  hkdfSync("sha256", Buffer.from(SECRETS.KEYWARD_SECRET, "base64"), "", "keyward/pepper/v1", 32),
);

/** Mints a live key that was not issued, with the hash that a registry would store. */
export function mintedKey({ identifier, secret }) {
  const message = `wafl_live_${identifier}_${secret}`;
  return {
    apiKey: mintKey({ identifier, secret }),
    keyHash: createHmac("sha256", PEPPER).update(message).digest("hex"),
  };
}

/** Limits that no benchmark reaches. */
export const NEVER_REACHED = [
  { name: "burst", requests: 1_000_000, seconds: 60 },
  { name: "monthly", requests: 1_000_000_000, period: "month" },
];

/** Invalid keys: half of them malformed, half with a wrong tag. */
export const shapeless = Array.from({ length: 500 }, (_, index) => `sk_${index}_${"g".repeat(60)}`);
export const forged = Array.from({ length: 500 }, (_, index) =>
  wrongTag(mintKey({ identifier: String(index).padStart(12, "F"), secret: "R".repeat(32) })),
);

/** An isolate admits 100 requests a second with one credential: waits as `Retry-After` says. Figures of more are not measured so. */
async function patiently(url, init) {
  for (;;) {
    const response = await fetch(url, init);
    if (response.status !== 429) return response;
    await response.body?.cancel();
    await pause(1_000 * Number(response.headers.get("retry-after")));
  }
}

/** Client of the control plane of the service at `port`. */
export class ControlPlane {
  #url;
  #owner;
  #issued = 0;

  constructor(port) {
    this.moveTo(port);
  }

  /** Uses the same registry and owner at another port. */
  moveTo(port) {
    this.#url = `http://127.0.0.1:${port}/_keyward/v1`;
  }

  async bootstrap() {
    const { api_key } = await this.#post(
      "bootstrap",
      { name: "Olive Owner", email: "olive@acme.example" },
      SECRETS.BOOTSTRAP_TOKEN,
      201,
    );
    this.#owner = api_key;
  }

  /** Issues a key and returns `{id, apiKey}`. */
  async issue(fields = {}) {
    this.#issued += 1;
    const name = `bench-${this.#issued}`;
    const draft = {
      name,
      integration: name,
      environment: "live",
      purpose: "Bench",
      owner: "ops@acme.example",
      scopes: ["contacts:read"],
      expires_in_days: 30,
      ...fields,
    };
    const { key, api_key } = await this.#post("keys", draft, this.#owner, 201);
    return { id: key.id, apiKey: api_key };
  }

  /** Creates the owner and the only key of a new registry. */
  async firstKey() {
    await this.bootstrap();
    return this.issue();
  }

  /** Issues `count` keys, a few at a time, like a busy control plane. */
  async issueMany(count) {
    const keys = [];
    const lane = async () => {
      while (this.#issued < target) keys.push(await this.issue());
    };
    const target = this.#issued + count;
    await Promise.all(Array.from({ length: 8 }, lane));
    return keys;
  }

  revoke(id) {
    return this.#post(`keys/${id}/revoke`, { reason: "bench" }, this.#owner, 200);
  }

  async list() {
    const response = await patiently(`${this.#url}/keys?limit=50`, {
      headers: { authorization: `Bearer ${this.#owner}` },
    });
    if (response.status !== 200) throw new Error(`list: ${response.status} ${await response.text()}`);
    return response.json();
  }

  async #post(path, body, credential, expected) {
    const headers = { authorization: `Bearer ${credential}`, "content-type": "application/json" };
    const response = await patiently(`${this.#url}/${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    if (response.status !== expected) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.json();
  }
}

export const wasmFile = (build = BUILD_DIR) => readFileSync(join(build, "index_bg.wasm"));

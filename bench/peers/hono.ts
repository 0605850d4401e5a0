// A conventional gate with Hono: bearer auth, SHA-256 of the key, a KV record cached for 30 s in memory,
// expiry, scope per route, credential removed, identity headers, forward. It does much less than Keyward.

import { Hono } from "hono";
import { bearerAuth } from "hono/bearer-auth";
import { createMiddleware } from "hono/factory";

interface Keys {
  get(name: string, type: "json"): Promise<Key | null>;
}

interface Key {
  id: string;
  integration: string;
  environment: string;
  scopes: string[];
  expires_at: number;
}

type Env = { Bindings: { ORIGIN: string; KEYS: Keys }; Variables: { key: Key } };

const KEPT_MILLIS = 30_000;
const memory = new Map<string, { key: Key; until: number }>();

async function find(token: string, keys: Keys): Promise<Key | null> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(token));
  const hash = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const kept = memory.get(hash);
  if (kept && kept.until > Date.now()) return kept.key;
  const key = await keys.get(hash, "json");
  if (key) memory.set(hash, { key, until: Date.now() + KEPT_MILLIS });
  return key;
}

const authenticated = bearerAuth<Env>({
  async verifyToken(token, c) {
    const key = await find(token, c.env.KEYS);
    if (!key || key.expires_at <= Date.now()) return false;
    c.set("key", key);
    return true;
  },
});

const needs = (scope: string) =>
  createMiddleware<Env>(async (c, next) => {
    if (!c.get("key").scopes.includes(scope)) return c.json({ error: "insufficient_scope", scope }, 403);
    await next();
  });

const app = new Hono<Env>();
app.use("/v1/*", authenticated);
for (const resource of ["events", "contacts", "conversations", "integrations", "automations"]) {
  const paths = [`/v1/${resource}`, `/v1/${resource}/*`];
  app.on("GET", paths, needs(`${resource}:read`), forward);
  app.on(["POST", "PUT", "PATCH", "DELETE"], paths, needs(`${resource}:write`), forward);
}

function forward(c: import("hono").Context<Env>): Promise<Response> {
  const { method, url, body } = c.req.raw;
  const key = c.get("key");
  const headers = new Headers(c.req.raw.headers);
  headers.delete("authorization");
  headers.set("keyward-key-id", key.id);
  headers.set("keyward-integration", key.integration);
  headers.set("keyward-environment", key.environment);
  headers.set("keyward-scopes", key.scopes.join(" "));
  headers.set("keyward-request-id", crypto.randomUUID());
  const { pathname, search } = new URL(url);
  return fetch(c.env.ORIGIN + pathname + search, { method, headers, body, redirect: "manual" });
}

export default app;

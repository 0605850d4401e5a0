// Configuration of the gate in tests. The secret is the first one of the golden vectors, so that their keys have a
// valid tag here.

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");
export const BUILD_DIR = join(ROOT, "build");
export const ASSETS_DIR = join(BUILD_DIR, "assets");
export const NEXT_BUILD_DIR = join(ROOT, "build-next");

const wranglerToml = readFileSync(join(ROOT, "wrangler.toml"), "utf8");
export const COMPATIBILITY_DATE = /^compatibility_date = "([^"]+)"$/m.exec(wranglerToml)[1];

export const VECTORS = JSON.parse(readFileSync(join(ROOT, "tests", "vectors", "key_format.json"), "utf8"));

export const SECRETS = {
  KEYWARD_SECRET: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
  BOOTSTRAP_TOKEN: "bootstrap-token-of-the-edge-tests",
};

export const ROUTES = [
  { match: "GET /public/*", access: "public" },
  { match: "GET /v1/contacts", scope: "contacts:read" },
  { match: "GET /v1/contacts/*", scope: "contacts:read" },
  { match: "POST /v1/contacts", scope: "contacts:write" },
  { match: "POST /v1/contacts/*", scope: "contacts:write" },
  { match: "PUT /v1/contacts/*", scope: "contacts:write" },
  { match: "DELETE /v1/contacts/*", scope: "contacts:write" },
  { match: "GET /v1/events", scope: "events:read" },
  { match: "OPTIONS /v1/events", scope: "events:read" },
  { match: "GET /v1/closed", scope: "contacts:read", on_outage: "closed" },
  { match: "* /v1/any/*", scope: "contacts:read" },
];

export const VARS = {
  KEY_PREFIX: "wafl",
  REQUIRE_HTTPS: false,
  REFUSE_BROWSERS: true,
  MAX_KEY_DAYS: 365,
  REVOCATION_BOUND_SECONDS: 5,
  OUTAGE_GRACE_SECONDS: 60,
  ROUTES,
};

// .dev.vars: the local worker's secrets, and a developer's overrides of wrangler.toml.

import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import * as util from "node:util";

/** Writes the file with new secrets, unless it exists. Returns whether it was written. */
export function ensureDevVars(file) {
  try {
    // `wx` and the mode in one call: never overwrites a file, and the file is never readable by others.
    writeFileSync(file, content(), { flag: "wx", mode: 0o600 });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw error;
  }
  return true;
}

/** Returns names and values as text. A value may be in single quotes. Works in the pinned Node only. */
export function readDevVars(file) {
  // Through the namespace, because npm start also imports this file in versions of Node without `parseEnv`.
  return existsSync(file) ? util.parseEnv(readFileSync(file, "utf8")) : {};
}

const content = () => `\
# Settings of the worker on this machine only; npm start made this file and never changes it.
# Every var of wrangler.toml may be set here and wins over it; ROUTES as JSON in single quotes:
#   ROUTES='[{"match":"GET /v1/contacts","scope":"contacts:read"}]'
# Restart npm start after a change.

# 32 random bytes, base64: all keys depend on it. With another one they are refused.
KEYWARD_SECRET=${randomBytes(32).toString("base64")}

# Makes the first owner.
BOOTSTRAP_TOKEN=${randomBytes(32).toString("base64url")}

# Plain HTTP is for this machine only.
REQUIRE_HTTPS=false

# Where requests with a live key go, and with a test key. Without a line, they go to the demo origin of npm start.
#ORIGIN_LIVE=http://127.0.0.1:3000
#ORIGIN_TEST=http://127.0.0.1:3000
`;

// Paths. Everything that the tools create is in an untracked folder.

import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");

/** worker-build and wasm-bindgen, compiled once for this folder. */
export const TOOLS_DIR = join(ROOT, ".tools");
export const TOOLS_BIN = join(TOOLS_DIR, "bin");

export const NODE_MODULES = join(ROOT, "node_modules");
export const NODE_BIN = join(NODE_MODULES, ".bin");

/** Output of worker-build, which `wrangler deploy` uploads. */
export const BUILD_DIR = join(ROOT, "build");

/** Builds the console into the folder below, with a manifest. Absent in a checkout without the console. */
export const CONSOLE_TOOL = join(ROOT, "tools", "console.mjs");
export const CONSOLE_DIR = join(ROOT, "console");
export const CONSOLE_BUILD_DIR = join(BUILD_DIR, "console");

/** The console's files as a deployment uploads them: [assets] in wrangler.toml. */
export const ASSETS_DIR = join(BUILD_DIR, "assets");

/** Output of a build whose forms have an added field, for the test of a rolling deployment. */
export const NEXT_BUILD_DIR = join(ROOT, "build-next");

/** The worker's entry on this machine, around the one in the build. */
export const LOCAL_ENTRY = join(ROOT, "tools", "local-entry.mjs");

/** The local KV namespace and Durable Object, with the keys issued under `npm start`. */
export const STATE_DIR = join(ROOT, ".keyward", "state");

/** Secrets and state of `npm run demo`, in a folder for each port, which is emptied at each start. */
export const DEMO_DIR = join(ROOT, ".keyward", "demo");

export const DEV_VARS = join(ROOT, ".dev.vars");
export const WRANGLER_TOML = join(ROOT, "wrangler.toml");

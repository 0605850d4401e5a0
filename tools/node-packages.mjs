// Step 3 of setup: the Node packages of package-lock.json, including wrangler and a Node that it accepts.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { NODE_BIN, NODE_MODULES, ROOT } from "./paths.mjs";
import { ask, runWithProgress, Stop } from "./run.mjs";

export async function ensureNodePackages() {
  if (matchesLock()) return;
  console.log("Node packages (wrangler, workerd, esbuild, wasm-opt): about 20 seconds, once.");
  // The npm that runs this script may be in a folder that is not on PATH.
  const npm = process.env.npm_execpath?.endsWith(".js") ? [process.execPath, process.env.npm_execpath] : ["npm"];
  await runWithProgress("npm ci", npm[0], [...npm.slice(1), "ci", "--no-audit", "--no-fund", "--loglevel=error"]);
  const { ok } = await ask(join(NODE_BIN, "node"), ["--version"]);
  if (!ok) {
    throw new Stop(
      "The npm package `node` did not install: npm's install scripts are switched off here.\n" +
        "Allow them for this folder and run the same command again:  npm ci --ignore-scripts=false",
    );
  }
}

/**
 * Returns whether node_modules matches package-lock.json. npm writes its own lock file into node_modules as the last step, so an
 * interrupted install does not match.
 */
function matchesLock() {
  const installed = packagesOf(join(NODE_MODULES, ".package-lock.json"));
  if (!installed || !existsSync(join(NODE_BIN, "node"))) return false;
  const locked = packagesOf(join(ROOT, "package-lock.json"));
  if (!locked) throw new Stop("package-lock.json is missing: git checkout package-lock.json");
  const same = (name) => installed[name]?.version === locked[name]?.version;
  return (
    Object.keys(installed).every(same) &&
    Object.keys(locked).every((name) => name === "" || locked[name].optional || same(name))
  );
}

function packagesOf(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8")).packages;
  } catch {
    return null;
  }
}

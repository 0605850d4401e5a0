// `npm run setup` installs everything that is missing. The other commands
// call it first. If everything is installed it takes a fraction of a second and prints nothing.

import { pathToFileURL } from "node:url";
import { ensureCargoTools } from "./cargo-tools.mjs";
import { ensureNodePackages } from "./node-packages.mjs";
import { main, Stop } from "./run.mjs";
import { ensureToolchain } from "./rust-toolchain.mjs";

export async function setup() {
  needNode();
  await ensureToolchain();
  await ensureNodePackages();
  await ensureCargoTools();
}

/** Minimum for setup itself. wrangler needs 22, which the package `node` provides. */
function needNode() {
  if (Number(process.versions.node.split(".")[0]) >= 18) return;
  throw new Stop(`Node ${process.versions.node} is too old. Install 18 or newer from https://nodejs.org.`);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  main(async () => {
    await setup();
    console.log("Setup is complete. Next: npm start, npm test, or npm run build.");
  });
}

// `npm run setup`: makes whatever is missing, and leaves alone what is there. The other commands
// call it first; with everything in place it takes a fraction of a second and says nothing.

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

/** Only to start with: wrangler needs 22, and the package `node` brings it. */
function needNode() {
  if (Number(process.versions.node.split(".")[0]) >= 18) return;
  throw new Stop(`Node ${process.versions.node} is too old: 18 or newer is needed. https://nodejs.org has one.`);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  main(async () => {
    await setup();
    console.log("Set up. Next: npm start, npm test, or npm run build.");
  });
}

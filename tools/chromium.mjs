// For the tests of the console only: Chromium, the system's own. On Debian and Ubuntu, root installs it; elsewhere the tests are skipped
// with a message, because a browser is large and everyone has their own way to install one.

import { existsSync } from "node:fs";
import { ask, runWithProgress, which } from "./run.mjs";

export const CHROMIUM = "/usr/bin/chromium";

/** Installs Chromium if it is missing and can be installed. Returns whether it is there. */
export async function ensureChromium() {
  if (existsSync(CHROMIUM)) return true;
  if (process.getuid?.() === 0 && which("apt-get")) {
    console.log("Chromium, for the tests of the console: about a minute, once.");
    const install = ["install", "--yes", "--quiet", "--no-install-recommends", "chromium"];
    await ask("apt-get", ["update", "--quiet"]);
    await runWithProgress("apt-get install chromium", "apt-get", install, {
      env: { DEBIAN_FRONTEND: "noninteractive" },
    });
  }
  if (existsSync(CHROMIUM)) return true;
  console.log(`${CHROMIUM} is missing, so the tests of the console are skipped. Debian: sudo apt install chromium.`);
  return false;
}

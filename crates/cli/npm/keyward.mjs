#!/usr/bin/env node
// Starts the program `keyward` of this machine's platform, which an optional package holds: npm installs the one that fits.

import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { constants } from "node:os";

const name = `keyward-cli-${process.platform}-${process.arch}`;

function find() {
  try {
    return createRequire(import.meta.url).resolve(`${name}/keyward`);
  } catch {
    console.error(
      `error: There is no program for ${process.platform} on ${process.arch} in this installation.\n` +
        "  Install it again without --omit=optional. If npm has no package for your platform, build the program with cargo:\n" +
        "  cargo install --path crates/cli --profile cli --locked",
    );
    process.exit(1);
  }
}

// The program must have the time to revoke a key that it could not deliver, so this process ends after it. A terminal sends Ctrl-C to both
// processes, so the program gets it twice. A second signal changes nothing.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));

const child = spawn(find(), process.argv.slice(2), { stdio: "inherit" });
child.on("error", (error) => {
  console.error(`error: The program could not be started: ${error.message}.`);
  process.exit(1);
});
child.on("close", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));

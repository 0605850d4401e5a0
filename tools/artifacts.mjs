// The version of what is built, and its checksums.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./paths.mjs";
import { Stop } from "./run.mjs";

/** Returns the version in Cargo.toml. */
export function crateVersion() {
  const version = /^version = "([^"]+)"$/m.exec(readFileSync(join(ROOT, "Cargo.toml"), "utf8"))?.[1];
  if (version === undefined) throw new Stop("Cargo.toml has no version.");
  return version;
}

/** Returns the lines of a SHA256SUMS file for files of a folder, as `sha256sum -c` reads them. */
export function checksumLines(folder, names) {
  const digest = (name) =>
    createHash("sha256")
      .update(readFileSync(join(folder, name)))
      .digest("hex");
  return names.map((name) => `${digest(name)}  ${name}\n`).join("");
}

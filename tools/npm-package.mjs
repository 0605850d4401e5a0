// The npm packages of the command line: `keyward-cli`, and one for each platform, which holds the program.

import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "./paths.mjs";
import { run } from "./run.mjs";

const SOURCE = join(ROOT, "crates", "cli", "npm");
/** Platforms for which a release has a program, by Rust's names, with npm's names. */
const PLATFORMS = {
  "x86_64-unknown-linux-gnu": { os: "linux", cpu: "x64" },
  "x86_64-unknown-linux-musl": { os: "linux", cpu: "x64" },
};
/** The platforms that `keyward-cli` names as optional packages. */
const RELEASED = ["x86_64-unknown-linux-musl"];

const packageOf = (target) => {
  if (!isPackaged(target)) throw new Error(`There is no npm package for ${target}: add it to tools/npm-package.mjs.`);
  const platform = PLATFORMS[target];
  return { name: `keyward-cli-${platform.os}-${platform.cpu}`, ...platform };
};

/** Returns whether a release has an npm package for a target. */
export const isPackaged = (target) => Object.hasOwn(PLATFORMS, target);

/** Packs both packages into `out`. `program` was built for `target`. */
export async function packNpm(out, { program, target, version }) {
  const folder = mkdtempSync(join(tmpdir(), "keyward-npm-"));
  try {
    const common = { version, license: "Apache-2.0", description: "The command line of Keyward" };
    const { name, os, cpu } = packageOf(target);
    await pack(out, join(folder, name), {
      manifest: { name, ...common, os: [os], cpu: [cpu], files: ["keyward"] },
      files: [[program, "keyward"]],
    });
    const optional = RELEASED.map((released) => [packageOf(released).name, version]);
    await pack(out, join(folder, "keyward-cli"), {
      manifest: {
        name: "keyward-cli",
        ...common,
        type: "module",
        bin: { keyward: "keyward.mjs" },
        files: ["keyward.mjs"],
        engines: { node: ">=18" },
        optionalDependencies: Object.fromEntries(optional),
      },
      files: [
        [join(SOURCE, "keyward.mjs"), "keyward.mjs"],
        [join(SOURCE, "README.md"), "README.md"],
      ],
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function pack(out, folder, { manifest, files }) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  for (const [from, to] of [...files, [join(ROOT, "LICENSE"), "LICENSE"]]) copyFileSync(from, join(folder, to));
  await run("npm", ["pack", folder, "--silent", "--pack-destination", out]);
}

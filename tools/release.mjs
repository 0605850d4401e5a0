// `npm run release -- FOLDER`: the files of a release. The workflow for tags runs it (.github/workflows/release.yml) and publishes them.
// Locked inputs only: worker-build runs with --locked, npm ci takes package-lock.json.

import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { checksumLines, crateVersion } from "./artifacts.mjs";
import { build } from "./build.mjs";
import { isPackaged, packNpm } from "./npm-package.mjs";
import { BUILD_DIR, ROOT } from "./paths.mjs";
import { ask, main, run, Stop } from "./run.mjs";
import { sbom } from "./supply-chain.mjs";

main(async () => {
  const [folder] = process.argv.slice(2);
  if (folder === undefined) throw new Stop("npm run release -- FOLDER");
  const out = resolve(folder);
  const version = checkVersion(process.env.GITHUB_REF_NAME);
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  await build();
  await pack(
    join(out, "keyward-worker.tar.gz"),
    [BUILD_DIR, "index.js", "index_bg.wasm"],
    [ROOT, "LICENSE", "wrangler.toml"],
  );
  await packProgram(out, { target: process.env.KEYWARD_PROGRAM_TARGET ?? (await hostTarget()), version });
  copyFileSync(join(ROOT, "crates", "control", "src", "openapi.json"), join(out, "openapi.json"));
  await sbom(out);
  writeChecksums(out);
});

/**
 * Returns the version. Refuses a tag that is not the version in Cargo.toml and package.json. Without a tag, such as on a developer's machine,
 * only these two are compared.
 */
function checkVersion(tag) {
  const crate = crateVersion();
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  if (crate !== version) throw new Stop(`Cargo.toml has version ${crate}, package.json ${version}. Make them equal.`);
  if (tag?.startsWith("v") && tag !== `v${version}`)
    throw new Stop(`The tag is ${tag}, the version ${version}. Tag a release v${version}.`);
  return version;
}

/** Builds the command line for a target, and packs it, for npm too if it has a package. For `…-linux-musl` it needs no library of the machine. */
async function packProgram(out, { target, version }) {
  const arguments_ = ["build", "--locked", "--profile", "cli", "-p", "keyward-cli", "--target", target];
  await run("cargo", arguments_, { env: { CARGO_TARGET_DIR: undefined } });
  const folder = join(ROOT, "target", target, "cli");
  await pack(join(out, `keyward-${target}.tar.gz`), [folder, "keyward"], [ROOT, "LICENSE"]);
  if (isPackaged(target)) await packNpm(out, { program: join(folder, "keyward"), target, version });
}

async function hostTarget() {
  const host = /^host: (.+)$/m.exec((await ask("rustc", ["-vV"])).out)?.[1];
  if (host === undefined) throw new Stop("rustc -vV names no host.");
  return host;
}

/**
 * Packs files, each list beginning with its folder. The same inputs give the same bytes: no times, no owners.
 * @param {string} file
 * @param {string[][]} lists
 */
function pack(file, ...lists) {
  return run("tar", [
    "--create",
    `--file=${file}`,
    "--use-compress-program=gzip -n -9",
    "--sort=name",
    "--mtime=@0",
    "--owner=0",
    "--group=0",
    "--numeric-owner",
    "--mode=u=rwX,go=rX",
    ...lists.flatMap(([folder, ...names]) => [`--directory=${folder}`, ...names]),
  ]);
}

function writeChecksums(folder) {
  writeFileSync(join(folder, "SHA256SUMS"), checksumLines(folder, readdirSync(folder).sort()));
}

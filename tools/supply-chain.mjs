// `npm run supply -- STEP…`: checks of every lock file, and the bill of materials of a release. CI runs `rules` and `advisories` on
// every push and weekly (.github/workflows/supply-chain.yml). They are not in `npm test`, because advisories come from GitHub and
// from the npm registry.

import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { ensurePinnedTool } from "./cargo-tools.mjs";
import { ROOT } from "./paths.mjs";
import { PINNED } from "./pinned.mjs";
import { ask, main, run, Stop } from "./run.mjs";
import { ensureToolchain } from "./rust-toolchain.mjs";

const HELP = `npm run supply -- STEP…

  rules         licences, sources and versions of the crates in every Cargo.lock (deny.toml)
  advisories    known vulnerabilities in every Cargo.lock and package-lock.json
  sbom FOLDER   CycloneDX documents of the worker's crates and of the build's Node packages`;

/** Returns cargo-deny's arguments for one Cargo.lock. */
const deny = (lock, ...checks) => [
  "deny",
  "--manifest-path",
  join(ROOT, dirname(lock), "Cargo.toml"),
  "--locked",
  "--config",
  join(ROOT, "deny.toml"),
  "check",
  ...checks,
];

/** Returns npm's arguments for one package-lock.json. Nothing is installed. */
const audit = (lock) => ["audit", "--package-lock-only", "--prefix", join(ROOT, dirname(lock))];

/** Returns the commands of a step: one for each lock file. */
export function commands(step) {
  const { cargo, npm } = PINNED.lockFiles;
  if (step === "rules")
    return cargo.map((lock) => ({ lock, tool: "cargo-deny", args: deny(lock, "bans", "licenses", "sources") }));
  return [
    ...cargo.map((lock) => ({ lock, tool: "cargo-deny", args: deny(lock, "advisories") })),
    ...npm.map((lock) => ({ lock, tool: "npm", args: audit(lock) })),
  ];
}

/** Runs every command, so that one failure does not hide another. */
async function check(step) {
  const deny = await ensurePinnedTool("cargo-deny");
  const failed = [];
  for (const { lock, tool, args } of commands(step)) {
    console.log(`\n== ${step}: ${lock}`);
    await run(tool === "npm" ? "npm" : deny, args).catch((failure) => {
      if (!(failure instanceof Stop)) throw failure;
      failed.push(lock);
    });
  }
  if (failed.length > 0) throw new Stop(`FAILED: ${step} of ${failed.join(", ")}. The output is above.`);
}

/** Writes worker.cdx.json (the crates in the wasm) and tools.cdx.json (the Node packages that build it) into a folder. */
export async function sbom(folder) {
  mkdirSync(folder, { recursive: true });
  const cyclonedx = await ensurePinnedTool("cargo-cyclonedx");
  const name = "keyward-sbom";
  try {
    await run(cyclonedx, [
      "cyclonedx",
      "--manifest-path",
      join(ROOT, "Cargo.toml"),
      "--format=json",
      "--spec-version=1.5",
      "--target=wasm32-unknown-unknown",
      "--no-build-deps",
      `--override-filename=${name}`,
    ]);
    renameSync(join(ROOT, `${name}.json`), join(folder, "worker.cdx.json"));
  } finally {
    // It writes one document beside the manifest of every member of the workspace.
    const members = readdirSync(join(ROOT, "crates")).map((crate) => join("crates", crate));
    for (const member of [".", "fuzz", "simulator", ...members])
      rmSync(join(ROOT, member, `${name}.json`), { force: true });
  }
  const { ok, out } = await ask("npm", ["sbom", "--sbom-format=cyclonedx", "--package-lock-only"]);
  if (!ok) throw new Stop(`npm sbom failed:\n${out}`);
  writeFileSync(join(folder, "tools.cdx.json"), `${out}\n`);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  main(async () => {
    const [step, ...rest] = process.argv.slice(2);
    const steps = [step, ...rest];
    if (step === "sbom" && rest.length === 1) {
      await ensureToolchain();
      return sbom(rest[0]);
    }
    if (!steps.every((one) => ["rules", "advisories"].includes(one))) throw new Stop(HELP);
    await ensureToolchain();
    for (const one of steps) await check(one);
  });
}

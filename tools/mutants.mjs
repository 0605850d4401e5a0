// `npm run mutants -- gate [FILE]`: finds changes of crates/gate that no test detects (cargo-mutants).
// docs/internals/fuzzing.md describes the result.

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./paths.mjs";
import { PINNED } from "./pinned.mjs";
import { ask, main, run, Stop } from "./run.mjs";

main(async () => {
  const crates = readdirSync(join(ROOT, "crates"));
  const [crate, file = "**/*"] = process.argv.slice(2);
  if (!crates.includes(crate)) throw new Stop(`npm run mutants -- CRATE [FILE]\n\nCrates: ${crates.join(", ")}`);
  if (!(await ask("cargo", ["mutants", "--version"])).ok)
    throw new Stop(
      `cargo-mutants is missing: cargo install cargo-mutants --version ${PINNED.cargo["cargo-mutants"].version} --locked`,
    );
  const output = join(ROOT, "target", "mutants", crate);
  const files = join("crates", crate, "src", `${file}.rs`);
  await run("cargo", ["mutants", "-p", `keyward-${crate}`, "--file", files, "--timeout", "60", "--output", output], {
    env: { PROPTEST_CASES: "32" },
  }).catch((failure) => {
    // Status 2: some mutants survived. Status 3: some timed out. Both are listed in the output.
    if (!/ended with status [23]\.$/.test(failure.message)) throw failure;
  });
  console.log(`The lists of missed mutants are in ${join("target", "mutants", crate, "mutants.out")}.`);
});

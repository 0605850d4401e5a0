// `npm run fuzz -- <target> [seconds]`: one target under libFuzzer, guided by coverage, on the pinned stable toolchain.
// `npm run fuzz` without a target lists the targets. docs/internals/fuzzing.md describes them and how to handle a finding.

import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./paths.mjs";
import { main, run, Stop } from "./run.mjs";

const FUZZ = join(ROOT, "fuzz");
/** The corpus and the findings. Untracked: useful seeds are copied to fuzz/seeds by hand. */
const WORK = join(ROOT, "target", "fuzz");

/** Coverage for libFuzzer, with stable options of rustc. Sanitizers would need nightly, and this code has no unsafe blocks. */
const COVERAGE = [
  "--cfg fuzzing",
  "-Cpasses=sancov-module",
  "-Cllvm-args=-sanitizer-coverage-level=4",
  "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
  "-Cllvm-args=-sanitizer-coverage-pc-table",
  "-Cllvm-args=-sanitizer-coverage-trace-compares",
  "-Ccodegen-units=1",
];

main(async () => {
  const [target, seconds = "600"] = process.argv.slice(2);
  const targets = readdirSync(join(FUZZ, "seeds"));
  if (!targets.includes(target) || !/^\d+$/.test(seconds))
    throw new Stop(`npm run fuzz -- TARGET [SECONDS]\n\nTargets: ${targets.join(", ")}`);
  const host = /^host: (.+)$/m.exec(execFileSync("rustc", ["-vV"], { cwd: ROOT, encoding: "utf8" }))?.[1];
  if (host === undefined) throw new Stop("rustc -vV names no host.");
  await run(
    "cargo",
    [
      "build",
      "--profile",
      "simulate",
      "--locked",
      "-p",
      "keyward-fuzz",
      "--features",
      "libfuzzer",
      "--target-dir",
      join(WORK, "build"),
      "--target",
      host,
    ],
    {
      env: { RUSTFLAGS: COVERAGE.join(" ") },
    },
  );
  const [corpus, found] = ["corpus", "found"].map((name) => join(WORK, name, target));
  for (const folder of [corpus, found]) mkdirSync(folder, { recursive: true });
  await run(
    join(WORK, "build", host, "simulate", "keyward-fuzz"),
    [
      `-max_total_time=${seconds}`,
      "-max_len=4096",
      `-dict=${join(FUZZ, "dictionary.txt")}`,
      `-artifact_prefix=${found}/`,
      corpus,
      join(FUZZ, "seeds", target),
    ],
    { env: { KEYWARD_FUZZ_TARGET: target } },
  );
});

// `npm run mutants -- http`: which changes of src/http no native test notices (cargo-mutants). `npm run mutants -- http headers` is
// src/http/headers.rs alone. docs/internals/fuzzing.md says how to read it.
//
// A mutant must cost seconds, not the minute that linking thirty test programs takes. So it works on a copy of the tree in which
// the tests of these rooms are modules of the library: one program to compile and to run. The rooms above are left out at first;
// what survives is tried again with them, with the slow tests and with the fuzz targets' seeds.

import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./paths.mjs";
import { ask, main, run, Stop } from "./run.mjs";

/** The rooms whose mutants are made; `npm run mutants -- all` takes each. */
const ROOMS = ["http", "gate", "key"];
/** Rooms that those know nothing of. */
const ABOVE = ["admin", "edge", "registry"];
const WORK = join(ROOT, "target", "mutants");
const TREE = join(WORK, "tree");
const COPIED = [
  "src",
  "tests",
  "fuzz/targets",
  "fuzz/seeds",
  "docs",
  "README.md",
  "Cargo.toml",
  "Cargo.lock",
  "rust-toolchain.toml",
  "wrangler.toml",
];

/** What the tests share; all but the first two are for those of the rooms above. */
const SUPPORT = ["entropy", "gate_world", "authority", "sqlite_store", "world"];
const REGISTRY = SUPPORT.slice(2);
/** Tests that need a process of their own: they count what is allocated. */
const ALONE = ["gate_feed_memory", "gate_garbage"];
/** Tests of seconds, in which nothing is checked that another doesn't. */
const SLOWEST = ["a_million", "a_megabyte"];
/** Tests that take longer than all others together, for the second pass. */
const SLOW = [
  ...SLOWEST,
  "more_changed_keys",
  "any_one_bit_or_byte",
  "what_is_kept_stays",
  "a_key_is_found_anywhere",
  "networks_count",
  "any_text_is_parsed",
  "memory_is_bounded",
];

const PASSES = [
  {
    name: "first",
    tests: /^(gate|http|key)_|^limits$/,
    fuzz: false,
    without: ABOVE,
    skip: SLOW,
    env: { PROPTEST_CASES: "32" },
  },
  {
    name: "second",
    tests: /^(admin|edge|gate|http|key)_|^(limits|registry_feed)$/,
    fuzz: true,
    without: [],
    skip: SLOWEST,
    env: { PROPTEST_CASES: "64" },
  },
];

main(async () => {
  const [asked, file = "*"] = process.argv.slice(2);
  const rooms = asked === "all" ? ROOMS : [asked];
  if (!rooms.every((room) => ROOMS.includes(room)))
    throw new Stop(`npm run mutants -- ROOM [FILE]\n\nRooms: ${ROOMS.join(", ")}, or all`);
  if (!(await ask("cargo", ["mutants", "--version"])).ok)
    throw new Stop("cargo-mutants is missing: cargo install cargo-mutants --locked");
  for (const room of rooms) rmSync(join(WORK, room), { recursive: true, force: true });
  for (const pass of PASSES) {
    prepare(pass);
    const env = { KEYWARD_FUZZ_SECONDS: "0", ...pass.env };
    const skipped = pass.skip.flatMap((name) => ["--skip", name]);
    // Where a test fails without a mutant, every mutant would count as caught.
    await run(
      "cargo",
      ["test", "--locked", "--quiet", "--lib", "--manifest-path", join(TREE, "Cargo.toml"), "--", ...skipped],
      { env },
    );
    for (const room of rooms) {
      console.log(`\n${room}, ${pass.name} pass`);
      const options = [
        "--dir",
        TREE,
        "--in-place",
        "--iterate",
        "--baseline",
        "skip",
        "--timeout",
        "60",
        "--output",
        join(WORK, room),
        "--file",
        `src/${room}/${file}.rs`,
      ];
      await run("cargo", ["mutants", ...options, "--", "--lib", "--", ...skipped], { env }).catch((failure) => {
        // 2 says that some survived, 3 that some took too long.
        if (!/ended with status [23]\.$/.test(failure.message)) throw failure;
      });
    }
  }
  const left = rooms.flatMap((room) =>
    ["missed", "timeout"].flatMap((kind) => lines(join(WORK, room, "mutants.out", `${kind}.txt`))),
  );
  console.log(`\n${left.length} left:\n${left.map((line) => `  ${line}`).join("\n")}`);
});

const lines = (file) => readFileSync(file, "utf8").split("\n").filter(Boolean);

/** Makes the copy; what cargo compiled for it before stays. */
function prepare({ tests, fuzz, without }) {
  for (const name of COPIED) {
    rmSync(join(TREE, name), { recursive: true, force: true });
    cpSync(join(ROOT, name), join(TREE, name), { recursive: true });
  }
  const names = readdirSync(join(TREE, "tests")).flatMap((file) => /^(\w+)\.rs$/.exec(file)?.[1] ?? []);
  const chosen = names.filter((name) => tests.test(name) && !ALONE.includes(name));
  if (fuzz) chosen.push("fuzz_smoke");
  for (const name of chosen)
    edit(join(TREE, "tests", `${name}.rs`), (text) =>
      text.replaceAll(/#\[path = "support\/(\w+)\.rs"\]\nmod \1;/g, "use crate::$1;"),
    );
  const modules = [
    ...chosen.map((name) => [`test_${name}`, `${name}.rs`]),
    ...SUPPORT.filter((name) => fuzz || !REGISTRY.includes(name)).map((name) => [name, `support/${name}.rs`]),
  ];
  const added = modules.map(([name, file]) => `#[cfg(test)]\n#[path = "../tests/${file}"]\nmod ${name};\n`).join("");
  edit(join(TREE, "src", "lib.rs"), (text) => {
    const kept = without.reduce((source, room) => source.replace(`pub mod ${room};\n`, ""), text);
    return `${kept.replace(/#!\[deny\([^)]*\)\]\n/, "#![allow(warnings)]\n")}\n#[cfg(test)]\nextern crate self as keyward;\n${added}`;
  });
  edit(join(TREE, "Cargo.toml"), (text) =>
    text
      .replace("publish = false\n", "publish = false\nautotests = false\n")
      .replace(/\[\[bench\]\][^[]*/, "")
      .replace("[profile.test]\nopt-level = 1\n", "[workspace]\n\n[profile.test]\nopt-level = 0\ndebug = 0\n"),
  );
}

function edit(file, change) {
  writeFileSync(file, change(readFileSync(file, "utf8")));
}

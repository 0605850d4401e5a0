// `npm test` runs every check, the fastest first, and stops at the first
// failure. `npm test -- edge` runs one step, `npm test -- --help` lists them.

import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build, NEXT_VERSION } from "./build.mjs";
import { ensureChromium } from "./chromium.mjs";
import { NODE_BIN, ROOT } from "./paths.mjs";
import { ensurePython } from "./python.mjs";
import { duration, main, run, Stop } from "./run.mjs";
import { setup } from "./setup.mjs";
import { wrangler } from "./wrangler.mjs";

const WASM = ["-p", "keyward", "--target", "wasm32-unknown-unknown", "--lib"];
const cargo = (...args) => run("cargo", args);
const STRICT_DOCS = { env: { RUSTDOCFLAGS: "-D warnings" } };

// Property tests use the same cases in every run, so that a failure is caused by a change. Another seed tests other cases.
const SEED = {
  env: {
    PROPTEST_RNG_SEED: "20261123",
    KEYWARD_FUZZ_SEED: "20261123",
    ...pick("PROPTEST_RNG_SEED", "KEYWARD_FUZZ_SEED"),
  },
};

const NATIVE = ["test", "--locked", "--workspace", "--exclude", "keyward-fuzz", "--exclude", "keyward-simulator"];
const SIMULATOR = ["--locked", "--profile", "simulate", "-p", "keyward-simulator"];

const STEPS = [
  { name: "fmt", what: "format of the Rust code", run: () => cargo("fmt", "--all", "--check") },
  { name: "js", what: "format, lints and types of the JavaScript", run: javascript },
  { name: "tools", what: "tests of these tools", run: () => nodeTests("tools", 4) },
  { name: "clippy", what: "clippy, native", run: clippy },
  {
    name: "clippy-wasm",
    what: "clippy, wasm32",
    run: () => cargo("clippy", "--locked", ...WASM, "--", "-D", "warnings"),
  },
  { name: "doc", what: "documentation, native", run: () => doc(["--workspace"]) },
  { name: "doc-wasm", what: "documentation, wasm32", run: () => doc(WASM) },
  {
    name: "native",
    what: "native tests, the long ones included",
    run: () => run("cargo", [...NATIVE, "--", "--include-ignored"], SEED),
  },
  { name: "fuzz", what: "every fuzz target for a few seconds", run: fuzz },
  { name: "simulate", what: "20,000 simulated histories, and planted faults", run: simulate },
  { name: "build", what: "the worker, and one with an added field", run: buildBoth },
  // Each test file starts workerd. With more than two at once, a small machine misses their timeouts.
  { name: "edge", what: "the real wasm in workerd, and the command line against it", run: edge, needs: buildBoth },
  { name: "console", what: "the console in Chromium", run: consoleTests, needs: build },
  { name: "deploy", what: "wrangler deploy --dry-run", run: deployDry, needs: build },
];

const HELP = `npm test [-- STEP…]

Runs every step, or the named ones:
${STEPS.map(({ name, what }) => `  ${name.padEnd(12)} ${what}`).join("\n")}`;

main(async () => {
  const asked = process.argv.slice(2);
  if (asked.some((name) => ["--help", "-h"].includes(name))) return console.log(HELP);
  const unknown = asked.filter((name) => !STEPS.some((step) => step.name === name));
  if (unknown.length > 0) throw new Stop(`No such step: ${unknown.join(", ")}.\n\n${HELP}`);
  const steps = asked.length > 0 ? STEPS.filter(({ name }) => asked.includes(name)) : STEPS;

  const began = Date.now();
  await setup();
  console.log(`Setup: complete (${duration(Date.now() - began)}).`);
  const times = [];
  for (const [index, step] of steps.entries()) {
    const started = Date.now();
    await take(step, `${index + 1}/${steps.length}`, asked.length > 0);
    times.push(`${step.name} ${duration(Date.now() - started)}`);
  }
  console.log(`\n${times.join(", ")}`);
  console.log(`\nAll ${steps.length} steps passed in ${duration(Date.now() - began)}.`);
});

function pick(...names) {
  return Object.fromEntries(names.filter((name) => process.env[name]).map((name) => [name, process.env[name]]));
}

/** @param {{ name: string, what: string, run: () => Promise<void>, needs?: () => Promise<void> }} step */
async function take({ name, what, run: body, needs }, place, alone) {
  const began = Date.now();
  console.log(`\n== ${place} ${name}: ${what}`);
  try {
    if (alone && needs) await needs();
    await body();
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    throw new Stop(
      `${error.message}\n\nFAILED: ${name} (${what}), after ${duration(Date.now() - began)}. To repeat it alone:  npm test -- ${name}`,
    );
  }
  console.log(`   ${name}: passed in ${duration(Date.now() - began)}`);
}

async function buildBoth() {
  await build();
  await build(NEXT_VERSION);
}

function doc(target) {
  return run("cargo", ["doc", "--locked", "--no-deps", "--document-private-items", ...target], STRICT_DOCS);
}

function nodeTests(folder, atOnce) {
  const path = join(ROOT, "tests", folder);
  const files = readdirSync(path).filter((name) => name.endsWith(".test.mjs"));
  // An empty suite must not count as passed.
  if (files.length === 0) throw new Stop(`No test found in tests/${folder}.`);
  return run(join(NODE_BIN, "node"), [
    "--test",
    "--test-reporter=spec",
    "--test-timeout=300000",
    `--test-concurrency=${atOnce}`,
    ...files.map((name) => join("tests", folder, name)),
  ]);
}

async function javascript() {
  await run(join(NODE_BIN, "biome"), ["check", "--error-on-warnings"]);
  await run(join(NODE_BIN, "tsc"), ["-p", "tsconfig.json"]);
  await run(join(NODE_BIN, "tsc"), ["-p", join("tests", "tsconfig.json")]);
  await run(join(NODE_BIN, "tsc"), ["-p", join("console", "tsconfig.json")]);
}

function clippy() {
  return cargo("clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings");
}

/** 12 targets on two threads, 10 seconds each: about a minute. */
function fuzz() {
  const env = { KEYWARD_FUZZ_SECONDS: "10", ...pick("KEYWARD_FUZZ_SECONDS"), ...SEED.env };
  return run("cargo", ["test", "--locked", "-p", "keyward-fuzz"], { env });
}

async function simulate() {
  await run("cargo", ["run", ...SIMULATOR, "--bin", "simulate", "--", "--seeds", "20000"]);
  if (!existsSync(join(ROOT, "simulator", "tests", "planted.rs"))) return;
  await run("cargo", ["run", ...SIMULATOR, "--bin", "simulate", "--", "--limits", "--seeds", "5000"]);
  await run("cargo", ["run", ...SIMULATOR, "--bin", "simulate", "--", "--events", "--seeds", "3000"]);
  await run("cargo", [
    "test",
    ...SIMULATOR,
    "--test",
    "planted",
    "--test",
    "events",
    "--test",
    "usage",
    "--test",
    "limits",
    "--",
    "--include-ignored",
    "--nocapture",
  ]);
}

async function edge() {
  await ensurePython();
  // The profile of the native tests, whose dependencies are compiled already.
  await cargo("build", "--locked", "--profile", "test", "-p", "keyward-cli");
  await nodeTests("edge", 2);
  await nodeTests("cli", 2);
}

/** Two files at once: each starts workerd and a browser. */
async function consoleTests() {
  if (await ensureChromium()) await nodeTests("console", 2);
}

async function deployDry() {
  const out = mkdtempSync(join(tmpdir(), "keyward-dry-run-"));
  try {
    await wrangler(["deploy", "--dry-run", "--outdir", out]);
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

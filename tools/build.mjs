// `npm run build` compiles the crate to build/index.js and build/index_bg.wasm. `wrangler deploy` calls it
// too (see [build] in wrangler.toml), so the deployed build is the tested one.

import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { crateVersion } from "./artifacts.mjs";
import { buildAssets } from "./assets.mjs";
import { ASSETS_DIR, BUILD_DIR, CONSOLE_DIR, NEXT_BUILD_DIR, NODE_BIN, ROOT, TOOLS_BIN } from "./paths.mjs";
import { main, run, runWithProgress, Stop } from "./run.mjs";
import { setup } from "./setup.mjs";

/**
 * A build: its folder and its Cargo features.
 * @typedef {{ folder: string, features: string[] }} Variant
 */

/** @type {Variant} */
const SHIPPED = { folder: BUILD_DIR, features: [] };

/**
 * The same worker with an added field in every stored and transmitted form.
 * @type {Variant}
 */
export const NEXT_VERSION = { folder: NEXT_BUILD_DIR, features: ["--features", "next-version"] };

/** @param {Variant} variant */
const outputsOf = ({ folder }) => ({
  script: join(folder, "index.js"),
  wasm: join(folder, "index_bg.wasm"),
  glue: join(folder, ".worker-build.js"),
  stamp: join(folder, ".stamp"),
  wasmStamp: join(folder, ".stamp-wasm"),
});

/** Inputs of the build besides the sources and the files that cargo lists. package-lock.json pins esbuild and wasm-opt. */
const ALSO = [
  "Cargo.toml",
  "Cargo.lock",
  "rust-toolchain.toml",
  ".cargo/config.toml",
  "build.rs",
  "package-lock.json",
  "tools/build.mjs",
];

/** Inputs of the script alone: with a change of only these, the wasm is kept. */
const OF_SCRIPT = ["package-lock.json", "tools/console.mjs", "tools/assets.mjs", "tools/build.mjs"];

/** Each option saves bytes that every isolate would compile or keep: docs/decisions/0005-sizes.md. */
const RUSTC_OPTIONS = [
  // With `opt-level = "s"` (Cargo.toml) LLVM inlines up to 50; 25 is as fast and saves 6 KB.
  "-Cllvm-args=-inline-threshold=25",
  // SHA-256 in a loop instead of unrolled. Either way it is 0.3 % of an accepted request.
  '--cfg=sha2_backend_soft="compact"',
  // Panic messages contain source paths. Removes the path of this machine's crates from them.
  `--remap-path-prefix=${join(process.env.CARGO_HOME ?? join(homedir(), ".cargo"), "registry", "src")}/=`,
];

/**
 * Exports of the crate `worker` for unused features: streams made in Rust, R2, containers, minifying. Nothing imports them, but an
 * export keeps its code.
 */
const UNUSED_EXPORTS = ["intounderlying", "r2range", "containerstartupoptions", "minifyconfig"];

export async function build(variant = SHIPPED) {
  const { wasm, stamp } = outputsOf(variant);
  const folder = relative(ROOT, variant.folder);
  await setup();
  if (isCurrent(variant)) {
    console.log(`Build: nothing changed in ${folder}/ since the last one (${sizes(wasm)}).`);
    return;
  }
  if (!isWasmCurrent(variant)) await compile(variant);
  const manifest = await buildAssets();
  await bundle(variant, manifest);
  writeFileSync(stamp, `${digest(variant)}\n`);
  const files = Object.keys(manifest.files).length;
  console.log(`  ${folder}/index_bg.wasm: ${sizes(wasm)}; ${files} addresses of the console`);
}

/** Compiles the crate. The script that worker-build writes is kept for `bundle`. */
async function compile(variant) {
  const { script, wasm, glue, wasmStamp } = outputsOf(variant);
  const folder = relative(ROOT, variant.folder);
  console.log("Build: compiling to WebAssembly. The first build takes 1 to 3 minutes, later ones less than one.");
  await runWithProgress(
    "worker-build",
    join(TOOLS_BIN, "worker-build"),
    ["--release", "--out-dir", folder, ".", "--locked", "-p", "keyward", ...variant.features],
    {
      env: {
        PATH: [NODE_BIN, TOOLS_BIN, process.env.PATH].join(delimiter),
        // Without these three, worker-build downloads its own, two of them from GitHub.
        WASM_BINDGEN_BIN: join(TOOLS_BIN, "wasm-bindgen"),
        WASM_OPT_BIN: join(NODE_BIN, "wasm-opt"),
        ESBUILD_BIN: join(NODE_BIN, "esbuild"),
        CARGO_TARGET_DIR: undefined,
        // Takes precedence over RUSTFLAGS, which would replace all of these on a CI machine.
        CARGO_ENCODED_RUSTFLAGS: RUSTC_OPTIONS.join("\x1f"),
        RUST_BACKTRACE: "0", // the backtrace of worker-build does not help with an error in the crate
      },
    },
  );
  if (!existsSync(script) || !existsSync(wasm)) {
    throw new Stop(`worker-build succeeded without ${folder}/index.js and ${folder}/index_bg.wasm.`);
  }
  await stripNames(wasm);
  renameSync(script, glue);
  writeFileSync(wasmStamp, `${wasmDigest(variant)}\n`);
}

/** Makes the script: src/entry.js in place of worker-build's entry, which is slow for each request, with the texts that it embeds. */
async function bundle(variant, manifest) {
  const { script, glue } = outputsOf(variant);
  const openApi = join(variant.folder, "openapi.js");
  const consoleFiles = join(variant.folder, "console.js");
  writeFileSync(openApi, `export default ${JSON.stringify(openApiDocument())};\n`);
  writeFileSync(consoleFiles, `export default ${JSON.stringify(manifest)};\n`);
  await run(join(NODE_BIN, "esbuild"), [
    join(ROOT, "src", "entry.js"),
    "--bundle",
    "--format=esm",
    "--target=es2022",
    "--minify",
    `--alias:worker-build=${glue}`,
    `--alias:keyward-openapi=${openApi}`,
    `--alias:keyward-console=${consoleFiles}`,
    "--external:cloudflare:workers",
    "--external:./index_bg.wasm",
    `--outfile=${script}`,
    "--log-level=warning",
  ]);
  rmSync(openApi);
  rmSync(consoleFiles);
}

/** Returns crates/control/src/openapi.json on one line with this version. It is not in the wasm, which every isolate compiles. */
function openApiDocument() {
  const document = JSON.parse(readFileSync(join(ROOT, "crates", "control", "src", "openapi.json"), "utf8"));
  document.info.version = crateVersion();
  return JSON.stringify(document);
}

/** Features that rustc and wasm-bindgen use, besides those that the file declares (exceptions). With all features wasm-opt emits types that workerd refuses (`exact`). */
const WASM_FEATURES = [
  "bulk-memory",
  "bulk-memory-opt",
  "multivalue",
  "mutable-globals",
  "nontrapping-float-to-int",
  "reference-types",
  "sign-ext",
];

/**
 * Removes the names of functions, a tenth of the uploaded bytes. worker-build keeps them whatever Cargo.toml says, and runs wasm-opt
 * once; running it until nothing changes saves another 2 KB gzipped. `KEYWARD_KEEP_NAMES=1` keeps the names for a profiler.
 */
async function stripNames(wasm) {
  if (process.env.KEYWARD_KEEP_NAMES) return;
  const features = WASM_FEATURES.map((name) => `--enable-${name}`);
  const unused = UNUSED_EXPORTS.map((name) => `--remove-exports=*${name}*`);
  // Sorted by name, instances of one generic function are adjacent, which saves 3 KB gzipped.
  const order = ["--dae-optimizing", "--gufa", "-Oz", "--converge", "--reorder-functions-by-name"];
  const options = [...features, ...unused, ...order, "--strip-debug", "--strip-producers", "--strip-target-features"];
  await run(join(NODE_BIN, "wasm-opt"), [wasm, "-o", wasm, ...options]);
}

function isCurrent(variant) {
  const { script, wasm, stamp } = outputsOf(variant);
  if (![script, wasm, stamp].every(existsSync)) return false;
  return readFileSync(stamp, "utf8").trim() === digest(variant);
}

function isWasmCurrent(variant) {
  const { glue, wasm, wasmStamp } = outputsOf(variant);
  if (![glue, wasm, wasmStamp].every(existsSync)) return false;
  return readFileSync(wasmStamp, "utf8").trim() === wasmDigest(variant);
}

/** Returns one hash over every input and output of a build, so that an output changed by hand is rebuilt. */
function digest(variant) {
  const { script, wasm, glue } = outputsOf(variant);
  const page = existsSync(CONSOLE_DIR) ? filesBelow(CONSOLE_DIR) : [];
  const assets = existsSync(ASSETS_DIR) ? filesBelow(ASSETS_DIR) : [];
  return digestOf([...inputs(), ...OF_SCRIPT.map((name) => join(ROOT, name)), ...page, ...assets, script, wasm, glue]);
}

/** Returns one hash over the inputs and outputs of the compilation. */
function wasmDigest(variant) {
  const { wasm, glue } = outputsOf(variant);
  return digestOf([...inputs(), wasm, glue]);
}

function digestOf(files) {
  const hash = createHash("sha256");
  for (const file of [...new Set(files)].sort()) {
    const content = existsSync(file) ? readFileSync(file) : Buffer.from("absent");
    hash.update(`${relative(ROOT, file)} ${content.length}\n`).update(content);
  }
  return hash.digest("hex");
}

function inputs() {
  return [...filesBelow(join(ROOT, "src")), ...crates(), ...ALSO.map((name) => join(ROOT, name)), ...readByCargo()];
}

/** Returns the sources of the crates without their tests. */
function crates() {
  const folder = join(ROOT, "crates");
  return readdirSync(folder).flatMap((name) => [
    join(folder, name, "Cargo.toml"),
    ...filesBelow(join(folder, name, "src")),
  ]);
}

function filesBelow(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesBelow(path) : [path];
  });
}

/** Returns the files that rustc read in the last build, including `include_str!` of files outside src/. */
function readByCargo() {
  const list = join(ROOT, "target", "wasm32-unknown-unknown", "release", "keyward.d");
  if (!existsSync(list)) return [];
  return [...readFileSync(list, "utf8").matchAll(/(?:[^\s\\]|\\.)+/g)]
    .map(([path]) => path.replace(/\\(.)/g, "$1"))
    .filter((path) => path.startsWith(ROOT) && !path.endsWith(":") && !path.startsWith(join(ROOT, "target")));
}

function sizes(wasm) {
  const kib = (bytes) => `${(bytes / 1024).toFixed(0)} KiB`;
  return `${kib(statSync(wasm).size)} raw, ${kib(gzipSync(readFileSync(wasm), { level: 9 }).length)} gzipped`;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) main(() => build());

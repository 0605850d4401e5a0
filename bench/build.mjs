// Builds everything for `npm run bench`: Keyward, the Hono peer with esbuild, and the conventional Rust peer with worker-build.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { build } from "../tools/build.mjs";
import { NODE_BIN, ROOT, TOOLS_BIN } from "../tools/paths.mjs";
import { run, runWithProgress } from "../tools/run.mjs";

const BENCH = join(ROOT, "bench");
const USUAL = join(BENCH, "usual");
const OUT = join(BENCH, "out");

export const honoFile = join(OUT, "hono.mjs");
export const usualBuild = join(USUAL, "build");

export async function buildAll() {
  await build();
  mkdirSync(OUT, { recursive: true });
  const hono = [
    "bench/peers/hono.ts",
    "--bundle",
    "--minify",
    "--format=esm",
    "--target=es2022",
    `--outfile=${honoFile}`,
    "--log-level=warning",
  ];
  await run(join(NODE_BIN, "esbuild"), hono);
  await buildUsual();
}

/** Uses Keyward's tools and its target folder, because most dependencies are the same. */
async function buildUsual() {
  const stamp = join(OUT, "usual.stamp");
  const inputs = ["Cargo.toml", "Cargo.lock", "src/lib.rs"].map((name) => readFileSync(join(USUAL, name)));
  const digest = createHash("sha256").update(Buffer.concat(inputs)).digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === digest && existsSync(join(usualBuild, "index_bg.wasm")))
    return;
  console.log("Building the conventional Rust peer: about a minute, once.");
  await runWithProgress("worker-build", join(TOOLS_BIN, "worker-build"), ["--release", USUAL, "--locked"], {
    env: {
      PATH: [NODE_BIN, TOOLS_BIN, process.env.PATH].join(delimiter),
      WASM_BINDGEN_BIN: join(TOOLS_BIN, "wasm-bindgen"),
      WASM_OPT_BIN: join(NODE_BIN, "wasm-opt"),
      ESBUILD_BIN: join(NODE_BIN, "esbuild"),
      CARGO_TARGET_DIR: join(ROOT, "target"),
    },
  });
  writeFileSync(stamp, digest);
}

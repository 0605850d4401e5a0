// pinned.json: the version of every tool that no lock file pins, and every lock file. The other pins are rust-toolchain.toml
// (Rust), package.json (Node, wrangler, workerd and the like) and Cargo.lock (worker-build and wasm-bindgen follow crates).

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./paths.mjs";

export const PINNED = JSON.parse(readFileSync(join(ROOT, "tools", "pinned.json"), "utf8"));

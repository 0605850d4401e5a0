// Step 4 of setup: compiles worker-build and wasm-bindgen into .tools/. worker-build would download
// wasm-bindgen from GitHub, which many networks block. The crates come from the registry.
// The tools of pinned.json are compiled the same way when a command needs them.

import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ROOT, TOOLS_BIN, TOOLS_DIR } from "./paths.mjs";
import { PINNED } from "./pinned.mjs";
import { ask, runWithProgress, Stop, which } from "./run.mjs";

/** Both must match crates in Cargo.lock, which determines their versions. */
const TOOLS = [
  { name: "worker-build", program: "worker-build", follows: "worker", why: "turns the crate into a worker" },
  {
    name: "wasm-bindgen-cli",
    program: "wasm-bindgen",
    follows: "wasm-bindgen",
    why: "writes the JavaScript side of the wasm",
  },
];

export async function ensureCargoTools() {
  const lock = lockFile();
  const tools = TOOLS.map((tool) => ({ ...tool, version: lockedVersion(lock, tool.follows) }));
  const missing = await notInstalled(tools);
  if (missing.some((tool) => tool.name === "worker-build")) await needOpenSsl();
  await install(missing);
}

/** Compiles the tool `name` of pinned.json, unless it is in .tools/ already. Returns its path. */
export async function ensurePinnedTool(name) {
  const { version, why } = PINNED.cargo[name];
  await install(await notInstalled([{ name, program: name, version, why }]));
  return join(TOOLS_BIN, name);
}

async function notInstalled(tools) {
  const missing = [];
  for (const tool of tools) {
    const { ok, out } = await ask(join(TOOLS_BIN, tool.program), versionCommand(tool.program));
    if (!ok || !out.split(/\s+/).includes(tool.version)) missing.push(tool);
  }
  return missing;
}

/** A subcommand of cargo may know `--version` only after its own name. */
const versionCommand = (program) => (program === "cargo-cyclonedx" ? ["cyclonedx", "--version"] : ["--version"]);

async function install(tools) {
  if (tools.length === 0) return;
  // One folder, so that shared dependencies are compiled once and an interrupted setup can continue.
  const target = join(TOOLS_DIR, "target");
  for (const { name, program, version, why } of tools) {
    console.log(`${name} ${version}, which ${why}: 2 to 5 minutes on a small machine, once.`);
    await runWithProgress(
      `cargo install ${name}`,
      "cargo",
      ["install", name, "--version", version, "--bin", program, "--locked", "--force", "--root", TOOLS_DIR],
      { env: { CARGO_TARGET_DIR: target, ...QUICK_COMPILE } },
    );
  }
  rmSync(target, { recursive: true, force: true });
}

/** The tools run for a second per build, and compiling them takes minutes, so they are hardly optimised. */
const QUICK_COMPILE = {
  CARGO_PROFILE_RELEASE_OPT_LEVEL: "1",
  CARGO_PROFILE_RELEASE_LTO: "off",
  CARGO_PROFILE_RELEASE_CODEGEN_UNITS: "16",
  CARGO_PROFILE_RELEASE_DEBUG: "0",
  CARGO_BUILD_TARGET: undefined,
  RUSTFLAGS: undefined,
};

function lockFile() {
  const file = join(ROOT, "Cargo.lock");
  if (!existsSync(file)) throw new Stop("Cargo.lock is missing: git checkout Cargo.lock");
  return readFileSync(file, "utf8");
}

/** Returns the version of a crate in Cargo.lock. */
export function lockedVersion(lock, crate) {
  const version = lock.match(new RegExp(`^name = "${crate}"\\r?\\nversion = "([^"]+)"`, "m"))?.[1];
  if (!version) throw new Stop(`Cargo.lock does not name the crate ${crate}.`);
  return version;
}

/** Checks for OpenSSL's headers. On Linux worker-build links the system's OpenSSL, and without headers it fails after minutes. */
async function needOpenSsl() {
  if (process.platform !== "linux" || process.env.OPENSSL_DIR || process.env.OPENSSL_LIB_DIR) return;
  if (which("pkg-config") && (await ask("pkg-config", ["--exists", "openssl"])).ok) return;
  throw new Stop(
    "Missing: OpenSSL's headers and pkg-config. The build tool worker-build needs them.\n" +
      "Debian, Ubuntu: sudo apt install pkg-config libssl-dev.  Fedora: sudo dnf install pkgconf openssl-devel",
  );
}

// Step 2 of setup: rustup, the toolchain of rust-toolchain.toml, and a C compiler.

import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { ROOT } from "./paths.mjs";
import { ask, run, Stop, which } from "./run.mjs";

/** Returns the toolchain of rust-toolchain.toml, its only definition. */
export function wanted() {
  const file = readFileSync(join(ROOT, "rust-toolchain.toml"), "utf8");
  const text = (name) => file.match(new RegExp(`^${name}\\s*=\\s*"([^"]+)"`, "m"))?.[1];
  const list = (name) =>
    [...(file.match(new RegExp(`^${name}\\s*=\\s*\\[([^\\]]*)\\]`, "m"))?.[1] ?? "").matchAll(/"([^"]+)"/g)].map(
      (m) => m[1],
    );
  const channel = text("channel");
  if (channel === undefined) throw new Stop("rust-toolchain.toml has no channel.");
  return { channel, components: list("components"), targets: list("targets") };
}

export async function ensureToolchain() {
  needRustup();
  needCompiler();
  const { channel, components, targets } = wanted();
  if (await isComplete(channel, components, targets)) return;
  console.log(`Rust ${channel} with ${[...components, ...targets].join(", ")}: about 1 minute, once per machine.`);
  // Explicit, because automatic installation may be disabled (RUSTUP_AUTO_INSTALL=0).
  await run("rustup", [
    "toolchain",
    "install",
    channel,
    "--profile",
    "minimal",
    "--no-self-update",
    ...components.flatMap((name) => ["--component", name]),
    ...targets.flatMap((name) => ["--target", name]),
  ]);
}

function needRustup() {
  const missing = ["rustup", "cargo", "rustc"].filter((name) => !which(name));
  if (missing.length === 0) return;
  const installed = existsSync(join(homedir(), ".cargo", "bin", "rustup"));
  throw new Stop(
    `Missing: ${missing.join(", ")}. Keyward is written in Rust, and rustup installs the version it is pinned to.\n` +
      (installed
        ? 'rustup is in ~/.cargo/bin, which is not on PATH here:  . "$HOME/.cargo/env"'
        : "Install it from https://rustup.rs, open a new terminal, and run the same command again."),
  );
}

function needCompiler() {
  if (which("cc") || process.env.CC) return;
  throw new Stop(
    "Missing: cc, a C compiler. Rust links with it, and the tests compile SQLite with it.\n" +
      "Debian, Ubuntu: sudo apt install build-essential.  Fedora: sudo dnf install gcc.  macOS: xcode-select --install",
  );
}

/** Reads the toolchain's folder, because three lists of rustup take a second. */
async function isComplete(channel, components, targets) {
  const { ok, out } = await ask("rustup", ["run", channel, "rustc", "--print", "sysroot"]);
  if (!ok) return false;
  const program = { clippy: "cargo-clippy", rustfmt: "rustfmt" };
  return (
    components.every((name) => existsSync(join(out, "bin", program[name] ?? name))) &&
    targets.every((name) => existsSync(join(out, "lib", "rustlib", name, "lib")))
  );
}

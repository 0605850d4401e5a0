// Runs other programs, with their output shown or with one line of progress. A program that fails
// causes a `Stop`, which `main` prints without a stack trace.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { ROOT } from "./paths.mjs";

/** A failure that the user can fix. Only its message is printed. */
export class Stop extends Error {}

/** Runs a command's body; a `Stop` ends the process with its message and status 1. */
export function main(body) {
  body().catch((error) => {
    if (interrupted) {
      console.error("\nInterrupted. Run the same command to continue.");
      process.exit(interrupted);
    }
    console.error(error instanceof Stop ? `\n${error.message}` : error);
    process.exit(1);
  });
}

const children = new Set();
let interrupted = 0;
let listening = false;

/** Forwards signals to the running programs; otherwise cargo would continue in the background. */
function forwardSignals() {
  if (listening) return;
  listening = true;
  /** @type {[NodeJS.Signals, number][]} */
  const signals = [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ];
  for (const [signal, status] of signals) {
    process.on(signal, () => {
      if (children.size === 0) process.exit(status);
      interrupted = status;
      for (const child of children) child.kill(signal);
    });
  }
}

/** Waits for a program to end, and stops it if this process is stopped. Resolves with `{ status, signal }`. */
export function attend(child) {
  forwardSignals();
  children.add(child);
  return new Promise((resolve, reject) => {
    child.on("error", (error) => {
      children.delete(child);
      reject(new Stop(error.code === "ENOENT" ? `${child.spawnfile} was not found.` : error.message));
    });
    child.on("close", (status, signal) => {
      children.delete(child);
      resolve({ status: status ?? 1, signal });
    });
  });
}

function start(command, args, { env = {}, stdio }) {
  const child = spawn(command, args, { cwd: ROOT, env: { ...process.env, ...env }, stdio });
  return { child, done: attend(child) };
}

const shown = (command, args) => [command, ...args].join(" ");

/**
 * Runs a program with its output shown. Rejects if it fails.
 * @param {string} command
 * @param {string[]} args
 * @param {{ env?: NodeJS.ProcessEnv }} [options]
 */
export async function run(command, args, { env } = {}) {
  const { done } = start(command, args, { env, stdio: ["ignore", "inherit", "inherit"] });
  const { status, signal } = await done;
  if (status !== 0) throw new Stop(`${shown(command, args)} ended with ${signal ?? `status ${status}`}.`);
}

/**
 * Runs a program without showing its output. Resolves with `{ ok, out }`; `ok` is false if the program is missing or fails.
 * @param {string} command
 * @param {string[]} args
 * @param {{ env?: NodeJS.ProcessEnv }} [options]
 */
export async function ask(command, args, { env } = {}) {
  try {
    const { child, done } = start(command, args, { env, stdio: ["ignore", "pipe", "pipe"] });
    let out = "";
    child.stdout.on("data", (part) => (out += part));
    child.stderr.on("data", (part) => (out += part));
    const { status } = await done;
    return { ok: status === 0, out: out.trim() };
  } catch {
    return { ok: false, out: "" };
  }
}

/**
 * Runs a long program with one line of progress, and shows its output only if it fails.
 * The `n/total` of cargo's progress bar is used.
 */
export async function runWithProgress(label, command, args, { env = {} } = {}) {
  const live = process.stdout.isTTY && !process.env.CI;
  const began = Date.now();
  let output = "";
  let count = "";
  const note = (part) => {
    output = (output + part).slice(-400_000);
    const seen = [...String(part).matchAll(/\] (\d+\/\d+)/g)].pop();
    if (seen) count = ` ${seen[1]} crates,`;
  };
  const line = () => `  ${label}…${count} ${duration(Date.now() - began)}`;
  const { child, done } = start(command, args, {
    env: { CARGO_TERM_PROGRESS_WHEN: "always", CARGO_TERM_PROGRESS_WIDTH: "80", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  child.stdout.on("data", note);
  child.stderr.on("data", note);
  const ticker = setInterval(
    () => (live ? process.stdout.write(`\r\x1b[K${line()}`) : console.log(line())),
    live ? 500 : 20_000,
  );
  const { status, signal } = await done.finally(() => clearInterval(ticker));
  if (live) process.stdout.write("\r\x1b[K");
  if (status !== 0) {
    if (!interrupted) console.error(withoutBars(output));
    throw new Stop(`${shown(command, args)} ended with ${signal ?? `status ${status}`}; its output is above.`);
  }
  console.log(`  ${label}: done in ${duration(Date.now() - began)}`);
  return output;
}

/** The terminal's sequence that erases a line, which precedes cargo's progress bar. */
const ERASE_LINE = "\x1b[K";

const withoutBars = (output) =>
  output
    .split(/[\r\n]+/)
    .map((row) => (row.startsWith(ERASE_LINE) ? row.slice(ERASE_LINE.length) : row).trimEnd())
    .filter((row) => row !== "" && !/^\s*Building \[/.test(row))
    .join("\n");

/** Formats milliseconds as `2 min 05 s`, `12 s` or `0.4 s`. */
export function duration(ms) {
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
}

/** Returns the full path of a program on PATH, or null. */
export function which(name) {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    if (folder && existsSync(join(folder, name))) return join(folder, name);
  }
  return null;
}

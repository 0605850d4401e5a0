// The npm packages of the command line, installed as npm installs them.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { isPackaged, packNpm } from "../../tools/npm-package.mjs";
import { until } from "../edge/harness/wait.mjs";
import { PROGRAM } from "./harness.mjs";

const supported = process.platform === "linux" && process.arch === "x64";
const skip = supported ? false : "a release has no program for this platform";
let folder;
const command = () => join(folder, "node_modules", ".bin", "keyward");
const install = (...packages) =>
  execFileSync("npm", ["install", "--offline", "--no-audit", "--no-fund", "--silent", ...packages], { cwd: folder });

before(async () => {
  if (skip) return;
  folder = mkdtempSync(join(tmpdir(), "keyward-npm-test-"));
  await packNpm(folder, { program: PROGRAM, target: "x86_64-unknown-linux-gnu", version: "0.1.0" });
  writeFileSync(join(folder, "package.json"), "{}");
  const packages = readdirSync(folder).filter((name) => name.endsWith(".tgz"));
  assert.deepEqual(packages.sort(), ["keyward-cli-0.1.0.tgz", "keyward-cli-linux-x64-0.1.0.tgz"]);
  install(...packages.map((name) => `./${name}`));
});
after(() => folder && rmSync(folder, { recursive: true, force: true }));

const childrenOf = (pid) => readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean);
const programOf = (pid) => readFileSync(`/proc/${pid}/comm`, "utf8").trim();

test("targets without an npm package are known, so that a release skips it", () => {
  assert.deepEqual(["x86_64-unknown-linux-musl", "aarch64-apple-darwin", "toString"].map(isPackaged), [
    true,
    false,
    false,
  ]);
});

/** Runs the installed command and returns its exit code, signal and texts. */
async function run(args, { started = async (_child) => {}, input = "" } = {}) {
  const child = spawn(command(), args, { stdio: ["pipe", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text));
  child.stdin.on("error", () => {});
  const closed = once(child, "close");
  await started(child);
  if (input !== null) child.stdin.end(input);
  const [code, signal] = await closed;
  return { code, signal, stdout, stderr };
}

test("the command of the package runs the program with its arguments, input and exit code", { skip }, async () => {
  assert.match((await run(["--version"])).stdout, /^keyward \d+\.\d+\.\d+\n$/);
  const found = await run(["scan", "-"], { input: "nothing here\n" });
  assert.equal(found.code, 0, found.stderr);
  assert.equal((await run(["keys", "lose"])).code, 2);
});

for (const [signal, code] of /** @type {["SIGTERM" | "SIGINT", number][]} */ ([
  ["SIGTERM", 143],
  ["SIGINT", 130],
]))
  test(`${signal} ends the program, and the command tells it by its exit code`, { skip }, async () => {
    const ended = await run(["scan", "-"], {
      input: null,
      // The program waits for its input. It has started when the wrapper's child runs it.
      started: async (child) => {
        await until("the program runs", () => childrenOf(child.pid).some((pid) => programOf(pid) === "keyward"));
        child.kill(signal);
      },
    });
    assert.equal(ended.code, code);
  });

test("without the package of the platform the error says what to do", { skip }, async () => {
  rmSync(join(folder, "node_modules", "keyward-cli-linux-x64"), { recursive: true });
  const { code, stderr } = await run(["--version"]);
  assert.equal(code, 1);
  assert.match(stderr, /no program for linux on x64.*--omit=optional.*cargo install/s);
});

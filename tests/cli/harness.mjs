// Runs the command line with a home folder of its own.

import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "../edge/harness/settings.mjs";

/** Built by tools/test.mjs, or by `cargo build -p keyward-cli`. */
export const PROGRAM = join(ROOT, "target", "debug", "keyward");

/** A user of the command line. */
export class User {
  #home = mkdtempSync(join(tmpdir(), "keyward-cli-"));
  #variables;
  /** Everything that a terminal would have shown. */
  shown = "";

  constructor(variables = {}) {
    this.#variables = variables;
  }

  path(name) {
    return join(this.#home, name);
  }

  folder(name) {
    mkdirSync(this.path(name), { recursive: true });
    return this.path(name);
  }

  read(name) {
    return readFileSync(this.path(name), "utf8");
  }

  /** Returns the content of every file below the home folder. */
  files() {
    const names = /** @type {string[]} */ (readdirSync(this.#home, { recursive: true }));
    const paths = names.map((name) => this.path(name)).filter((path) => statSync(path).isFile());
    return paths.map((path) => readFileSync(path, "latin1")).join("\n");
  }

  /** Runs the program and returns `{code, stdout, stderr}`. */
  run(args, { input = "", variables = {} } = {}) {
    const { PATH } = process.env;
    const env = { PATH, HOME: this.#home, XDG_CONFIG_HOME: this.path("config"), ...this.#variables, ...variables };
    const child = spawn(PROGRAM, args, { cwd: this.#home, env, stdio: ["pipe", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text));
    // A program that does not read its input closes it.
    child.stdin.on("error", () => {});
    child.stdin.end(input);
    return new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (code) => {
        this.shown += stdout + stderr;
        resolve({ code, stdout, stderr });
      });
    });
  }

  /** Runs the program, and throws unless it exits with `code`. */
  async expect(code, args, options) {
    const outcome = await this.run(args, options);
    if (outcome.code !== code) {
      throw new Error(`keyward ${args.join(" ")}: exit ${outcome.code}\n${outcome.stdout}${outcome.stderr}`);
    }
    return outcome;
  }

  async json(args) {
    return JSON.parse((await this.expect(0, [...args, "--output", "json"])).stdout);
  }

  remove() {
    rmSync(this.#home, { recursive: true, force: true });
  }
}

// What comes in is pinned, and every lock file is checked. No network: the checks themselves are `npm run supply`.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { ROOT } from "../../tools/paths.mjs";
import { PINNED } from "../../tools/pinned.mjs";
import { commands } from "../../tools/supply-chain.mjs";

/** Folders of the tools, whose lock files are not ours. */
const MADE = new Set([".git", ".tools", ".wrangler", ".keyward", "node_modules", "target", "build", "out"]);

const read = (...path) => readFileSync(join(ROOT, ...path), "utf8");

/** Returns the files below a folder that `fits` takes, by their path from the root. */
function find(fits, folder = "") {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory()) return MADE.has(entry.name) ? [] : find(fits, path);
    return fits(entry.name) ? [path] : [];
  });
}

const named = (name) => find((file) => file === name).sort();
const WORKFLOWS = find((name) => /\.ya?ml$/.test(name), ".github/workflows");
const CARGO = PINNED.lockFiles.cargo;
const NPM = PINNED.lockFiles.npm;

test("the list of lock files has every lock file of the repository", () => {
  assert.deepEqual([...CARGO].sort(), named("Cargo.lock"));
  assert.deepEqual([...NPM].sort(), named("package-lock.json"));
  const others =
    /^(yarn\.lock|pnpm-lock\.yaml|bun\.lockb?|poetry\.lock|uv\.lock|go\.sum|Gemfile\.lock|requirements.*\.txt)$/;
  assert.deepEqual(
    find((name) => others.test(name)),
    [],
    "a lock file that nothing checks",
  );
});

test("every package.json with dependencies has a lock file", () => {
  for (const file of named("package.json")) {
    const { dependencies = {}, devDependencies = {} } = JSON.parse(read(file));
    const lock = join(dirname(file), "package-lock.json");
    if (Object.keys({ ...dependencies, ...devDependencies }).length > 0) assert.ok(NPM.includes(lock), file);
  }
});

test("the checks read every lock file", () => {
  const checked = (step) => commands(step).map(({ lock }) => lock);
  assert.deepEqual(checked("rules"), CARGO);
  assert.deepEqual(checked("advisories"), [...CARGO, ...NPM]);
  for (const { lock, args } of [...commands("rules"), ...commands("advisories")]) {
    assert.ok(
      args.some((one) => [join(ROOT, dirname(lock)), join(ROOT, dirname(lock), "Cargo.toml")].includes(one)),
      lock,
    );
  }
});

test("the checks run on every push, weekly, and before a release", () => {
  const workflow = read(".github/workflows/supply-chain.yml");
  for (const part of [/^ {2}push:$/m, /^ {4}- cron: "\d+ \d+ \* \* [0-7]"$/m, /^ {2}workflow_call:$/m])
    assert.match(workflow, part);
  for (const step of ["rules", "advisories"])
    assert.match(workflow, new RegExp(`run: npm run supply -- ${step}$`, "m"));
  const release = read(".github/workflows/release.yml");
  assert.match(release, /uses: \.\/\.github\/workflows\/supply-chain\.yml/);
  assert.match(release, /needs: \[test, supply-chain\]/);
});

test("updates are proposed for the folder of every lock file", () => {
  const config = read(".github/dependabot.yml");
  const folders = (ecosystem) => {
    const [, after] = config.split(`package-ecosystem: ${ecosystem}\n`);
    return JSON.parse(`[${/director(?:ies: \[(.*)\]|y: (.*))/.exec(after).slice(1).find(Boolean)}]`);
  };
  const of = (locks) => locks.map((lock) => (dirname(lock) === "." ? "/" : `/${dirname(lock)}`)).sort();
  assert.deepEqual(folders("cargo").sort(), of(CARGO));
  assert.deepEqual(folders("npm").sort(), of(NPM));
  assert.deepEqual(folders("github-actions"), ["/"]);
  assert.deepEqual(folders("rust-toolchain"), ["/"]);
});

test("every action is pinned by commit, with its version beside it", () => {
  const uses = WORKFLOWS.flatMap((file) => [...read(file).matchAll(/^\s*(?:- )?uses:\s*(.*)$/gm)].map((hit) => hit[1]));
  assert.ok(uses.length > 8, "the workflows were read");
  const commits = new Map();
  for (const one of uses) {
    if (one.startsWith("./.github/workflows/")) continue;
    const [, action, commit, version] = /^([\w./-]+)@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)$/.exec(one) ?? assert.fail(one);
    assert.equal(commits.get(`${action} ${version}`) ?? commit, commit, one);
    commits.set(`${action} ${version}`, commit);
  }
});

test("only the job that publishes a release may write", () => {
  for (const file of WORKFLOWS) {
    const text = read(file);
    assert.match(text, /^permissions:\n {2}contents: read\n\n/m, file);
    assert.doesNotMatch(text, /pull_request_target|workflow_run|permissions: write-all/, file);
    const writers = text
      .split(/^ {2}(?=[\w-]+:$)/m)
      .filter((job) => /: write$/m.test(job))
      .map((job) => job.split(":")[0]);
    assert.deepEqual(writers, file.endsWith("release.yml") ? ["publish"] : [], file);
    const checkouts = text.match(/actions\/checkout@/g) ?? [];
    assert.equal((text.match(/persist-credentials: false/g) ?? []).length, checkouts.length, file);
  }
  const publish = read(".github/workflows/release.yml").split("\n  publish:\n")[1];
  assert.doesNotMatch(publish, /checkout|npm|cargo|node/, "the job with the token runs none of our code");
});

test("a workflow installs nothing whose version is not in the repository's lists", () => {
  const { devDependencies } = JSON.parse(read("package.json"));
  for (const file of WORKFLOWS) {
    const text = read(file);
    assert.doesNotMatch(
      text,
      /cargo install|npx |npm (install|i|exec) |pip install|curl |wget |rustup toolchain/,
      file,
    );
    for (const [, version] of text.matchAll(/node-version: (.*)$/gm)) assert.equal(version, devDependencies.node, file);
    assert.doesNotMatch(text, /runs-on: \S*latest/, file);
  }
});

test("every tool that a script installs has its version from a list", () => {
  for (const file of find((name) => name.endsWith(".mjs"), "tools")) {
    const text = read(file);
    for (const [call] of text.matchAll(/cargo install [a-z-]+.*/g))
      assert.match(call, /--version \$\{.*--locked/, `${file}: ${call}`);
    assert.doesNotMatch(text, /[a-z]==\d/, `${file} has a version of its own`);
  }
  for (const { version } of Object.values(PINNED.cargo)) assert.match(version, /^\d+\.\d+\.\d+$/);
  assert.match(read("rust-toolchain.toml"), /^channel = "\d+\.\d+\.\d+"$/m);
});

test("direct Node packages have exact versions, and every locked one a checksum", () => {
  for (const lock of NPM) {
    const { dependencies = {}, devDependencies = {} } = JSON.parse(read(dirname(lock), "package.json"));
    for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies }))
      assert.match(version, /^\d+\.\d+\.\d+(-[\w.]+)?$/, `${lock}: ${name}`);
    for (const [name, entry] of Object.entries(JSON.parse(read(lock)).packages)) {
      if (name === "" || entry.link) continue;
      assert.match(entry.integrity ?? "", /^sha512-/, `${lock}: ${name}`);
    }
  }
});

test("every locked crate is of this repository, or from the registry with a checksum", () => {
  for (const lock of CARGO) {
    const packages = read(lock).split("[[package]]").slice(1);
    assert.ok(packages.length > 10, lock);
    for (const one of packages) {
      const source = /^source = "(.*)"$/m.exec(one)?.[1];
      if (source === undefined) continue;
      assert.match(source, /^registry\+https:\/\/github\.com\/rust-lang\//, lock + one);
      assert.match(one, /^checksum = "[0-9a-f]{64}"$/m, lock + one);
    }
  }
});

// `npm run selfhost` makes a folder with everything that a machine of one's own needs to run Keyward: docs/operations/self-hosting.md.
// Over an earlier release it is an upgrade in place: each file is replaced at once, and data and settings stay.

import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { checksumLines, crateVersion } from "./artifacts.mjs";
import { build } from "./build.mjs";
import { ASSETS_DIR, BUILD_DIR, ROOT } from "./paths.mjs";
import { main, Stop } from "./run.mjs";
import { readWranglerToml } from "./wrangler-toml.mjs";

const SOURCES = join(ROOT, "selfhost");
const DEFAULT = join("dist", "selfhost");

/** Names the files of a release, so that the next one removes those that it does not have. */
const RELEASE = "release.json";
const CHECKSUMS = "SHA256SUMS";

/** Settings that entry.js reads; the worker does not know them. */
const FRONT_SETTINGS = ["TRUSTED_PROXIES", "CLIENT_IP_HEADER"];

const HELP = `npm run selfhost [-- --out DIR]

Builds Keyward for a machine of your own: one folder, without dependencies besides glibc and a POSIX shell.
  --out DIR   where the folder is (default ${DEFAULT}); over an earlier release this is an upgrade
  --help      this text`;

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  main(async () => {
    const { out, help } = options();
    if (help) return console.log(HELP);
    refuseForeign(out); // before the long steps, not after
    await build();
    const { version, files } = assemble(out);
    console.log(`Self-hosting: Keyward ${version} in ${relative(process.cwd(), out) || "."}, ${files.length} files.`);
  });
}

function options() {
  try {
    const { values } = parseArgs({ options: { out: { type: "string" }, help: { type: "boolean", short: "h" } } });
    return { out: resolve(values.out ?? join(ROOT, DEFAULT)), help: values.help };
  } catch (error) {
    throw new Stop(`${error instanceof Error ? error.message : error}\n\n${HELP}`);
  }
}

/** Refuses a folder with files that are not of a release. */
function refuseForeign(out) {
  if (!existsSync(out) || existsSync(join(out, RELEASE)) || readdirSync(out).length === 0) return;
  throw new Stop(`${out} has other files. Choose an empty folder, or one with an earlier release.`);
}

/** Makes a release of a build, and of the runtime at `runtime`, in `out`. Returns its description. */
export function assemble(out, { folder = BUILD_DIR, runtime = workerd().path } = {}) {
  refuseForeign(out);
  const earlier = existsSync(join(out, RELEASE)) ? JSON.parse(readFileSync(join(out, RELEASE), "utf8")).files : [];
  const copies = [
    ...[
      "start",
      "backup",
      "keyward.service",
      "Containerfile",
      "nginx.conf",
      "settings.example",
      "routes.example.json",
      "README.md",
    ].map((name) => [name, join(SOURCES, name)]),
    ...["entry.js", "front.js", "kv.js"].map((name) => [join("worker", name), join(SOURCES, name)]),
    ...["index.js", "index_bg.wasm"].map((name) => [join("worker", name), join(folder, name)]),
    ...(existsSync(ASSETS_DIR) ? readdirSync(ASSETS_DIR) : []).map((name) => [
      join("assets", name),
      join(ASSETS_DIR, name),
    ]),
    ["workerd", runtime],
    ["LICENSE", join(ROOT, "LICENSE")],
  ];
  mkdirSync(join(out, "assets"), { recursive: true });
  for (const [name, source] of copies) {
    replace(out, name, (path) => {
      copyFileSync(source, path);
      chmodSync(path, statSync(source).mode & 0o111 ? 0o755 : 0o644);
    });
  }
  replace(out, "config.capnp", (path) => writeFileSync(path, configuration()));
  const files = [...copies.map(([name]) => name), "config.capnp"].sort();
  const release = { version: crateVersion(), workerd: workerd().version, files };
  replace(out, CHECKSUMS, (path) => writeFileSync(path, checksumLines(out, files)));
  replace(out, RELEASE, (path) => writeFileSync(path, `${JSON.stringify(release, null, 2)}\n`));
  for (const name of earlier) if (!files.includes(name)) rmSync(join(out, name), { force: true });
  return release;
}

/** Writes a file beside its place and moves it there: a running Keyward keeps the file that it has open. */
function replace(out, name, write) {
  const path = join(out, name);
  mkdirSync(dirname(path), { recursive: true });
  write(`${path}.new`);
  renameSync(`${path}.new`, path);
}

/** Returns the configuration of workerd, with a binding for each setting. */
export function configuration() {
  const settings = [...workerSettings(), ...FRONT_SETTINGS].map(
    (name) => `    (name = "${name}", fromEnvironment = "${name}"),`,
  );
  return readFileSync(join(SOURCES, "config.capnp"), "utf8")
    .replaceAll("@COMPATIBILITY_DATE@", readWranglerToml().compatibility_date)
    .replace("@SETTINGS@", settings.join("\n"));
}

/** Returns the names of the worker's settings and secrets, from the rows of its table. */
export function workerSettings() {
  const table = readFileSync(join(ROOT, "crates", "config", "src", "settings.rs"), "utf8");
  const rows = /^ *(?:(?:setting|optional|required)\(\s*|name: )"([A-Z_]+)"/gm;
  return [...table.matchAll(rows)].map(([, name]) => name);
}

/** Returns the pinned runtime, without npm's launcher. */
export function workerd() {
  const miniflare = createRequire(import.meta.url).resolve("miniflare");
  const { default: path, version } = createRequire(miniflare)("workerd");
  return { path, version };
}

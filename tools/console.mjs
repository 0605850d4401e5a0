// Bundles the console into build/console: a page, scripts and styles with hashed names, and a manifest of the URL paths.

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { CONSOLE_BUILD_DIR, CONSOLE_DIR } from "./paths.mjs";
import { main, Stop } from "./run.mjs";

const MANIFEST = "manifest.json";

/** Bytes of the first load, gzipped: page, styles and scripts without those that are loaded later. */
const MOST_FIRST_LOAD_BYTES = 60_000;

/** Addresses of the application. Its screens are in one page, which reads the address. */
const SCREENS = [
  "/",
  "/keys",
  "/key",
  "/issue",
  "/incidents",
  "/incident",
  "/leaks",
  "/audit",
  "/members",
  "/events",
  "/settings",
];

const TYPES = {
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".svg": "image/svg+xml",
};

/**
 * One URL path of the manifest.
 * @typedef {{ file: string, type: string, immutable: boolean }} Entry
 */

/** Bundles the pages and writes the manifest. Throws a `Stop` if the first load is too large. */
export async function buildConsole() {
  rmSync(CONSOLE_BUILD_DIR, { recursive: true, force: true });
  mkdirSync(CONSOLE_BUILD_DIR, { recursive: true });
  const outputs = await bundle();
  const icon = hashed("icon", ".svg", readFileSync(join(CONSOLE_DIR, "icon.svg")));
  /** @type {Record<string, Entry>} */
  const files = {};
  for (const name of [...outputs.names, icon]) {
    files[`/assets/${name}`] = { file: name, type: typeOf(name), immutable: true };
  }
  page("index.html", { icon, ...outputs.main });
  page("claim.html", { icon, ...outputs.claim });
  for (const path of SCREENS) files[path] = htmlEntry("index.html");
  files["/_keyward/claim"] = htmlEntry("claim.html");
  writeFileSync(join(CONSOLE_BUILD_DIR, MANIFEST), `${JSON.stringify({ files }, null, 2)}\n`);
  return checkSize(outputs);
}

async function bundle() {
  const result = await build({
    absWorkingDir: CONSOLE_DIR,
    entryPoints: { app: "src/main.tsx", claim: "src/claim.tsx", styles: "src/styles/index.css" },
    bundle: true,
    splitting: true,
    format: "esm",
    target: ["es2022", "chrome123", "firefox120", "safari17.5"],
    minify: true,
    legalComments: "none",
    jsx: "automatic",
    jsxImportSource: "preact",
    outdir: CONSOLE_BUILD_DIR,
    entryNames: "[name]-[hash]",
    chunkNames: "chunk-[hash]",
    metafile: true,
    logLevel: "warning",
  });
  const names = Object.keys(result.metafile.outputs).map((path) => path.split("/").pop() ?? path);
  const of = (name) => names.find((one) => one.startsWith(`${name}-`));
  return {
    names,
    metafile: result.metafile,
    main: { script: of("app"), styles: of("styles") },
    claim: { script: of("claim"), styles: of("styles") },
  };
}

/** Writes a file under a name with its hash and returns the name. */
function hashed(name, extension, content) {
  const hash = createHash("sha256").update(content).digest("hex").slice(0, 8).toUpperCase();
  const file = `${name}-${hash}${extension}`;
  writeFileSync(join(CONSOLE_BUILD_DIR, file), content);
  return file;
}

/** Fills the names of files into a page. */
function page(file, names) {
  const template = readFileSync(join(CONSOLE_DIR, file), "utf8");
  const text = template.replaceAll(/\{\{(\w+)\}\}/g, (_, name) => {
    if (!names[name]) throw new Stop(`console/${file} names {{${name}}}, which the bundle has not.`);
    return `/assets/${names[name]}`;
  });
  writeFileSync(join(CONSOLE_BUILD_DIR, file), text);
}

/** @returns {Entry} */
const htmlEntry = (file) => ({ file, type: TYPES[".html"], immutable: false });

const typeOf = (name) => TYPES[name.slice(name.lastIndexOf("."))] ?? "application/octet-stream";

/** Returns the gzipped bytes of the first load, which has no script that is imported on demand. */
function checkSize({ metafile, main: { script, styles } }) {
  const path = (name) => Object.keys(metafile.outputs).find((output) => output.endsWith(`/${name}`)) ?? "";
  const first = new Set([path(script)]);
  for (const output of first) {
    for (const { path: imported, kind } of metafile.outputs[output]?.imports ?? []) {
      if (kind === "import-statement") first.add(imported);
    }
  }
  const names = [...first].map((output) => output.split("/").pop() ?? output);
  const bytes = ["index.html", styles, ...names]
    .map((name) => gzipSync(readFileSync(join(CONSOLE_BUILD_DIR, name)), { level: 9 }).length)
    .reduce((sum, length) => sum + length, 0);
  if (bytes > MOST_FIRST_LOAD_BYTES) {
    throw new Stop(`The console's first load is ${bytes} bytes gzipped, more than ${MOST_FIRST_LOAD_BYTES}.`);
  }
  return bytes;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  main(async () => {
    const bytes = await buildConsole();
    console.log(`  build/console: ${(bytes / 1024).toFixed(1)} KiB gzipped for the first load`);
  });
}

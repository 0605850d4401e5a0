// The console's files: copies what tools/console.mjs built into the folder that a deployment uploads, and makes the manifest that the
// worker embeds. Without that tool there is no console, and the manifest is empty.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ASSETS_DIR, CONSOLE_BUILD_DIR, CONSOLE_TOOL, NODE_BIN } from "./paths.mjs";
import { run, Stop } from "./run.mjs";

/**
 * An entry of the manifest: the file at a path, its content type, and whether the content at that path never changes.
 * @typedef {{ file: string, type: string, immutable: boolean }} Listed
 */

/** Builds the console, fills `build/assets`, and returns the manifest with the digest and size of each file. */
export async function buildAssets() {
  rmSync(ASSETS_DIR, { recursive: true, force: true });
  mkdirSync(ASSETS_DIR, { recursive: true });
  if (!existsSync(CONSOLE_TOOL)) return { files: {} };
  rmSync(CONSOLE_BUILD_DIR, { recursive: true, force: true });
  await run(join(NODE_BIN, "node"), [CONSOLE_TOOL]);
  return collect(CONSOLE_BUILD_DIR, ASSETS_DIR);
}

/** Copies the files that the manifest in `from` lists into `to`, and returns the manifest with the digest and size of each. */
export function collect(from, to) {
  const listed = JSON.parse(readFileSync(join(from, "manifest.json"), "utf8"));
  /** @type {Record<string, Listed & { digest: string, bytes: number }>} */
  const files = {};
  for (const [path, entry] of Object.entries(listed.files)) {
    const { file, type, immutable } = /** @type {Listed} */ (entry);
    check(path, file, type);
    const content = readFileSync(join(from, file));
    writeFileSync(join(to, file), content);
    const digest = createHash("sha256").update(content).digest("base64url").slice(0, 22);
    files[path] = { file, type, immutable: immutable === true, digest, bytes: content.length };
  }
  return { files };
}

/** Refuses an entry that could leave the folder, add a header, or hide an address of the API. */
function check(path, file, type) {
  const isFile = /^[\w-][\w.-]*$/.test(file);
  const isPath = /^\/[\w./-]*$/.test(path) && !path.includes("//") && !path.includes("..");
  const isOwn = path === "/_keyward" || (path.startsWith("/_keyward/") && path !== "/_keyward/claim");
  if (!isFile || !isPath || isOwn || !/^[\w/+.-]+(; charset=utf-8)?$/.test(type)) {
    throw new Stop(
      `The console's manifest has an entry that cannot be served: ${JSON.stringify({ path, file, type })}.`,
    );
  }
}

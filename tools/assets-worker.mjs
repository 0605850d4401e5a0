// The store of the console's files on this machine: a worker that has them as modules and answers the binding `ASSETS`. Miniflare's own
// store would put a router between the socket and the worker, which rewrites requests. A deployment has Workers Static Assets.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Name of the worker, for the binding of the gate. */
export const ASSETS_WORKER = "console-files";

/** Returns Miniflare's configuration of the worker with the files in `folder`. */
export function assetsWorker(folder, compatibilityDate) {
  const names = existsSync(folder) ? readdirSync(folder) : [];
  const files = names.map((name, index) => ({ name, module: `file-${index}.bin` }));
  const imports = files.map(({ module }, index) => `import file${index} from "./${module}";`);
  const entries = files.map(({ name }, index) => `[${JSON.stringify(`/${name}`)}, file${index}]`);
  const source = `${imports.join("\n")}
const files = new Map([${entries.join(", ")}]);
export default {
  fetch(request) {
    const file = files.get(new URL(request.url).pathname);
    return new Response(file ?? null, { status: file === undefined ? 404 : 200 });
  },
};`;
  const data = files.map(({ name, module }) => [module, { type: "data", contents: readFileSync(join(folder, name)) }]);
  return {
    config: {
      name: ASSETS_WORKER,
      compatibilityDate,
      compatibilityFlags: [],
      manifest: {
        mainModule: "index.js",
        modulesRoot: folder,
        modules: { "index.js": { type: "esm", contents: source }, ...Object.fromEntries(data) },
      },
      env: {},
    },
    dev: {},
  };
}

/** The binding of the gate to the worker. */
export const ASSETS_BINDING = { ASSETS: { type: "worker", worker: ASSETS_WORKER } };

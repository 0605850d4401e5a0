// The worker in local workerd, through Miniflare. `wrangler dev` has a proxy that rewrites paths and headers (the gate must
// see them raw), loads only secrets from .dev.vars, and needs a terminal. Here the worker itself listens, with the settings
// of wrangler.toml.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Log, LogLevel, Miniflare } from "miniflare";
import { ASSETS_BINDING, assetsWorker } from "./assets-worker.mjs";
import { ASSETS_DIR, BUILD_DIR, LOCAL_ENTRY, STATE_DIR } from "./paths.mjs";
import { loopbackHosts } from "./ports.mjs";

/**
 * Starts the worker and resolves when it listens on each of `ports`. `dispose()` of the result stops it. `state` is the folder
 * for what it stores.
 */
export async function startWorker({ config, vars, ports, state = STATE_DIR }) {
  const miniflare = new Miniflare({
    host: "127.0.0.1",
    port: 0,
    cf: false, // otherwise fetched from the internet
    telemetry: { enabled: false },
    logRequests: false,
    log: new Log(LogLevel.WARN),
    handleStructuredLogs: ({ level, message }) =>
      (level === "error" || level === "warn" ? console.error : console.log)(message),
    resourcePersistencePath: state,
    workers: [
      {
        config: {
          name: config.name,
          compatibilityDate: config.compatibility_date,
          compatibilityFlags: config.compatibility_flags ?? [],
          manifest: { mainModule: "local-entry.mjs", modulesRoot: BUILD_DIR, modules: modules() },
          env: { ...varBindings(vars), ...storeBindings(config), ...ASSETS_BINDING },
          exports: config.exports,
        },
        dev: {
          stripCfConnectingIp: false, // otherwise a helper worker rewrites every request to the origin
          unsafeDirectSockets: ports.flatMap((port) => loopbackHosts().map((host) => ({ host, port }))),
        },
      },
      assetsWorker(ASSETS_DIR, config.compatibility_date),
    ],
  });
  await miniflare.ready;
  return miniflare;
}

const modules = () => ({
  "local-entry.mjs": { type: "esm", contents: readFileSync(LOCAL_ENTRY, "utf8") },
  "index.js": { type: "esm", contents: readFileSync(join(BUILD_DIR, "index.js"), "utf8") },
  "index_bg.wasm": { type: "wasm", contents: readFileSync(join(BUILD_DIR, "index_bg.wasm")) },
});

const mapped = (entries, to) => Object.fromEntries(entries.map(to));

const varBindings = (vars) =>
  mapped(Object.entries(vars), ([name, value]) => [name, { type: typeof value === "string" ? "text" : "json", value }]);

const storeBindings = (config) => ({
  ...mapped(config.kv_namespaces ?? [], ({ binding }) => [binding, { type: "kv", id: binding }]),
  ...mapped(config.durable_objects?.bindings ?? [], ({ name, class_name }) => [
    name,
    { type: "durable-object", worker: config.name, exportName: class_name },
  ]),
});

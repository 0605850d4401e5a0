// One plain workerd process, with each service on its own socket and without Miniflare.

import { spawn } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { COMPATIBILITY_DATE } from "../../tests/edge/harness/settings.mjs";
import { NODE_BIN } from "../../tools/paths.mjs";
import { attend } from "../../tools/run.mjs";

/**
 * Starts `services`, by name `{modules: {file: path}, bindings, registry?, usage?, outbound?}`. The first module is the entry. `registry`
 * names the service that has the object. Without `state` a temporary folder is created and removed.
 * @param {Record<string, any>} services
 * @param {{ kvPort?: number, originPort?: number, state?: string, args?: string[], v8Flags?: string[], quiet?: boolean }} [options]
 */
export async function startWorkerd(
  services,
  { kvPort, originPort, state, args = [], v8Flags = [], quiet = true } = {},
) {
  const folder = mkdtempSync(join(tmpdir(), "keyward-bench-"));
  const storage = state ?? join(folder, "state");
  mkdirSync(storage, { recursive: true });
  writeFileSync(
    join(folder, "config.capnp"),
    configuration(services, { folder, storage, kvPort, originPort, v8Flags }),
  );
  const began = performance.now();
  const child = spawn(join(NODE_BIN, "workerd"), ["serve", join(folder, "config.capnp"), "--control-fd=3", ...args], {
    stdio: ["ignore", quiet ? "ignore" : "inherit", "inherit", "pipe"],
  });
  // Stops with this process, whatever ends it.
  const ended = attend(child);
  const ports = await listening(child, Object.keys(services).length);
  return {
    ports,
    pid: child.pid,
    began,
    cpuSeconds: () => cpuSeconds(child.pid),
    residentBytes: () => residentBytes(child.pid),
    async stop() {
      child.kill("SIGKILL");
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Resolves with the port of each service, once all of them listen. */
function listening(child, count) {
  const ports = {};
  let text = "";
  return new Promise((resolve, reject) => {
    child.once("exit", () => reject(new Error("workerd ended before it listened")));
    child.stdio[3].on("data", (part) => {
      text += part;
      const lines = text.split("\n");
      text = lines.pop();
      for (const { event, socket, port } of lines.map((line) => JSON.parse(line)))
        if (event === "listen") ports[socket] = port;
      if (Object.keys(ports).length === count) resolve(ports);
    });
  });
}

const quoted = (text) => JSON.stringify(text);

function configuration(services, { folder, storage, kvPort, originPort, v8Flags }) {
  const names = Object.keys(services);
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
${names.map((name) => `    (name = "${name}", worker = .${name}),`).join("\n")}
    (name = "internet", network = (allow = ["public", "private", "local"])),
    (name = "origin", external = (address = "127.0.0.1:${originPort}", http = ())),
    (name = "kv", external = (address = "127.0.0.1:${kvPort}", http = ())),
    (name = "storage", disk = (path = ${quoted(storage)}, writable = true)),
  ],
  sockets = [
${names.map((name) => `    (name = "${name}", address = "127.0.0.1:0", http = (), service = "${name}"),`).join("\n")}
  ],
  v8Flags = [${v8Flags.map(quoted).join(", ")}],
);
${names.map((name) => worker(name, services[name], folder)).join("\n")}`;
}

/** Durable Objects of a service. The unique key, the service's name with the suffix, is also the name of the folder of its databases. */
const OBJECTS = [
  { binding: "REGISTRY", className: "Registry", suffix: "", always: true },
  { binding: "LIMITS", className: "Limits", suffix: "-limits", always: true },
  { binding: "USAGE", className: "Usage", suffix: "-usage", always: false },
  { binding: "EVENTS", className: "Events", suffix: "-events", always: false },
];

function worker(name, { modules, bindings = {}, registry, usage = false, outbound = "internet" }, folder) {
  const embedded = Object.entries(modules).map(([file, path]) => {
    mkdirSync(join(folder, name), { recursive: true });
    copyFileSync(path, join(folder, name, basename(file)));
    const kind = file.endsWith(".wasm") ? "wasm" : "esModule";
    return `(name = ${quoted(file)}, ${kind} = embed ${quoted(`${name}/${basename(file)}`)})`;
  });
  const bound = Object.entries(bindings).map(([binding, value]) => `(name = "${binding}", ${bindingOf(value)})`);
  const objects = OBJECTS.filter(({ always }) => always || usage);
  if (registry)
    for (const { binding, className } of objects)
      bound.push(
        `(name = "${binding}", durableObjectNamespace = (className = "${className}", serviceName = "${registry}"))`,
      );
  const namespaces = objects.map(
    ({ className, suffix }) => `    (className = "${className}", uniqueKey = "${name}${suffix}", enableSql = true),`,
  );
  const storage = `
  durableObjectNamespaces = [
${namespaces.join("\n")}
  ],
  durableObjectStorage = (localDisk = "storage"),`;
  return `const ${name} :Workerd.Worker = (
  modules = [${embedded.join(", ")}],
  compatibilityDate = "${COMPATIBILITY_DATE}",
  bindings = [${bound.join(", ")}],
  globalOutbound = "${outbound}",${registry === name ? storage : ""}
);`;
}

export const KV = Symbol("the KV namespace");

function bindingOf(value) {
  if (value === KV) return 'kvNamespace = "kv"';
  return typeof value === "string" ? `text = ${quoted(value)}` : `json = ${quoted(JSON.stringify(value))}`;
}

/** Returns the CPU seconds of all threads so far, exact to the nanosecond (proc(5), schedstat). */
function cpuSeconds(pid) {
  const tasks = readdirSync(`/proc/${pid}/task`);
  const nanoseconds = tasks.map((task) =>
    Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8").split(" ")[0]),
  );
  return nanoseconds.reduce((sum, one) => sum + one, 0) / 1e9;
}

function residentBytes(pid) {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) * 1024;
}

// The two processes besides workerd: the origin with the KV store, and the load generator.

import { fork } from "node:child_process";
import { once } from "node:events";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = dirname(fileURLToPath(import.meta.url));

export async function startOrigin() {
  const child = fork(join(HERE, "origin.mjs"), { stdio: ["ignore", "pipe", "inherit", "ipc"] });
  const [line] = await once(child.stdout, "data");
  const { origin, kv } = JSON.parse(line);
  const at = (name) => `http://127.0.0.1:${kv}/${encodeURIComponent(name)}`;
  const counted = async () => (await fetch(at("counted-so-far"))).json();
  return {
    url: `http://127.0.0.1:${origin}`,
    originPort: origin,
    kvPort: kv,
    put: (name, value) => fetch(at(name), { method: "PUT", body: value }),
    reads: async () => (await counted()).reads,
    writes: async () => (await counted()).writes,
    stop: () => child.connected && child.disconnect(),
  };
}

export function startLoad() {
  const child = fork(join(HERE, "load.mjs"));
  let settle;
  child.on("message", (answer) => settle.resolve(answer));
  child.on("exit", () => settle?.reject(new Error("The load generator failed")));
  return {
    /** Sends a job to load.mjs, which describes its form and the result. */
    run: (order) =>
      new Promise((resolve, reject) => {
        settle = { resolve, reject };
        child.send({ connections: 8, ...order });
      }),
    stop: () => child.connected && child.disconnect(),
  };
}

// Load generator, a separate process: sends requests over keep-alive connections, each as soon as the previous one is answered.
// Receives {port, method, path, credentials, count, connections}, sends {seconds, latencies, statuses}.

import { connect } from "node:net";
import { headOf } from "./request.mjs";

process.on("message", async (/** @type {any} */ order) => process.send(await run(order)));
process.on("disconnect", () => process.exit());

async function run({ port, path, credentials, count, connections, firstMalformed }) {
  // Built before the clock starts, except for a million requests, which would need too much memory.
  const heads = credentials?.map((credential) => Buffer.from(headOf(path, credential)));
  const next =
    firstMalformed === undefined
      ? (index) => heads[index % heads.length]
      : (index) => headOf(path, malformedKey(firstMalformed + index));
  const sockets = await Promise.all(Array.from({ length: connections }, () => open(port)));
  const latencies = new Float64Array(count);
  const statuses = {};
  let sent = 0;
  const began = performance.now();
  await Promise.all(
    sockets.map(async (socket) => {
      while (sent < count) {
        const index = sent++;
        const start = performance.now();
        const status = await socket.ask(next(index));
        latencies[index] = performance.now() - start;
        statuses[status] = (statuses[status] ?? 0) + 1;
      }
    }),
  );
  const seconds = (performance.now() - began) / 1000;
  for (const socket of sockets) socket.close();
  latencies.sort();
  const at = (part) => latencies[Math.min(count - 1, Math.floor(count * part))] * 1000;
  return { seconds, p50: at(0.5), p99: at(0.99), statuses };
}

/** Returns a malformed key, distinct for each number. */
const malformedKey = (number) => `wafl_live_${String(number).padStart(12, "0")}_${"x".repeat(46)}`;

async function open(port) {
  const socket = connect(port, "127.0.0.1").setNoDelay();
  await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  let answered;
  let failed;
  let rest = "";
  socket.on("data", (part) => {
    rest += part.toString("latin1");
    const end = rest.indexOf("\r\n\r\n");
    if (end < 0) return;
    const length = /\r\ncontent-length: (\d+)/i.exec(rest);
    if (length === null || rest.length < end + 4 + Number(length[1])) return;
    const status = rest.slice(9, 12);
    rest = "";
    answered(status);
  });
  socket.on("close", () => failed?.(new Error("workerd closed the connection")));
  socket.on("error", (error) => failed?.(error));
  return {
    ask: (bytes) =>
      new Promise((resolve, reject) => {
        answered = resolve;
        failed = reject;
        socket.write(bytes);
      }),
    close() {
      failed = undefined;
      socket.destroy();
    },
  };
}

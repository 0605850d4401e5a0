// Cost of a long-lived answer that Keyward holds, compared with one that the runtime passes on: CPU of workerd for each message
// of a WebSocket and each event of a stream, and CPU and memory of connections on which nothing happens.
//
//     npm run build && node bench/connections.mjs

import { once } from "node:events";
import { createServer, request as httpRequest } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { portOf } from "../tests/edge/harness/ports.mjs";
import { acceptWebSocket, openWebSocket } from "../tests/edge/harness/websocket.mjs";
import { ControlPlane, keyward, peers } from "./lib/gates.mjs";
import { startOrigin } from "./lib/processes.mjs";
import { PATH } from "./lib/request.mjs";
import { median } from "./lib/rounds.mjs";
import { startWorkerd } from "./lib/workerd.mjs";

const { ROUNDS = 15, MESSAGES = 1_000, IDLE = 500 } = process.env;
const BOUND = 5;
const TEXT = "x".repeat(100);
const EVENT = `data: ${TEXT}\n\n`;

/** Echoes WebSocket messages, and streams so many events, each written in a turn of its own. */
async function startLongLived() {
  const server = createServer(async (request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    for (let left = Number(MESSAGES); left > 0; left -= 1) {
      if (!response.write(EVENT)) await once(response, "drain");
      await new Promise(setImmediate);
    }
    response.end();
    request.resume();
  });
  server.on("upgrade", acceptWebSocket);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${portOf(server)}`,
    stop: () => {
      server.closeAllConnections();
      return server.close();
    },
  };
}

const [stores, longLived] = [await startOrigin(), await startLongLived()];
const origin = { ...stores, url: longLived.url };
const gate = keyward(origin);
gate.bindings.REVOCATION_BOUND_SECONDS = BOUND;
const { forward } = peers(origin, { honoFile: "", usualBuild: "" });
const workerd = await startWorkerd({ forward, keyward: gate }, stores);
const control = new ControlPlane(workerd.ports.keyward);
await control.bootstrap();
const { apiKey } = await control.issue();
const headers = { authorization: `Bearer ${apiKey}` };
const url = (name) => `http://127.0.0.1:${workerd.ports[name]}`;

/** Microseconds of CPU for each of the messages of `work`. */
async function cpuOf(work) {
  const before = workerd.cpuSeconds();
  await work();
  return ((workerd.cpuSeconds() - before) * 1e6) / Number(MESSAGES);
}

async function messages(name) {
  const socket = await openWebSocket(url(name), PATH, headers);
  const cpu = await cpuOf(async () => {
    for (let left = Number(MESSAGES); left > 0; left -= 1) await socket.say(TEXT);
  });
  socket.drop();
  return cpu;
}

const events = (name) =>
  cpuOf(async () => {
    const sent = httpRequest(url(name) + PATH, { headers, agent: false });
    sent.end();
    const [response] = await once(sent, "response");
    response.resume();
    await once(response, "end");
  });

/** CPU in a second and memory of so many connections on which nothing happens, for each of them. */
async function idle(name) {
  const before = workerd.residentBytes();
  const sockets = [];
  while (sockets.length < Number(IDLE)) sockets.push(await openWebSocket(url(name), PATH, headers));
  await pause(1_000);
  const bytes = workerd.residentBytes() - before;
  const seconds = 4 * BOUND;
  const cpuBefore = workerd.cpuSeconds();
  await pause(seconds * 1_000);
  const cpu = workerd.cpuSeconds() - cpuBefore;
  for (const socket of sockets) socket.drop();
  return { bytes: bytes / sockets.length, cpu: (cpu * 1e6) / seconds / sockets.length };
}

const results = {};
for (let round = 0; round <= Number(ROUNDS); round += 1) {
  for (const [kind, measure] of Object.entries({ messages, events })) {
    for (const name of ["forward", "keyward"]) {
      const cpu = await measure(name);
      // The first round warms up.
      if (round === 0) continue;
      results[`${kind} ${name}`] ??= [];
      results[`${kind} ${name}`].push(cpu);
    }
  }
}
const microseconds = (name) => `${median(results[name]).toFixed(1)} µs`;
console.log(
  `WebSocket, a message there and back: passed on ${microseconds("messages forward")}, held ${microseconds("messages keyward")}`,
);
console.log(
  `event stream, one event: passed on ${microseconds("events forward")}, held ${microseconds("events keyward")}`,
);
for (const name of ["forward", "keyward"]) {
  const { bytes, cpu } = await idle(name);
  const what = name === "forward" ? "passed on" : "held";
  console.log(
    `${IDLE} idle WebSockets ${what}: ${(bytes / 1024).toFixed(0)} KiB each, ${cpu.toFixed(1)} µs of CPU a second each`,
  );
}
longLived.stop();
stores.stop();
await workerd.stop();
process.exit(0);

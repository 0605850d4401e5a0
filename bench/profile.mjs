// Profile of accepted or refused requests: `perf` on workerd, with the names of functions that V8 compiled.
//
//     node bench/profile.mjs [accept|forged|shapeless|forward] [build folder]

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { ControlPlane, forged, keyward, peers, shapeless } from "./lib/gates.mjs";
import { startLoad, startOrigin } from "./lib/processes.mjs";
import { PATH } from "./lib/request.mjs";
import { startWorkerd } from "./lib/workerd.mjs";

const [what = "accept", build = "build"] = process.argv.slice(2);
const [origin, load] = [await startOrigin(), startLoad()];
const services = {
  forward: peers(origin, { honoFile: "", usualBuild: "" }).forward,
  keyward: keyward(origin, { build: resolve(build) }),
};
// Names for compiled code, and no anonymous interpreter frames.
const workerd = await startWorkerd(services, {
  ...origin,
  v8Flags: ["--perf-basic-prof", "--interpreted-frames-native-stack"],
});
const control = new ControlPlane(workerd.ports.keyward);
await control.bootstrap();
const { apiKey } = await control.issue();
const port = what === "forward" ? workerd.ports.forward : workerd.ports.keyward;
const credentials = { accept: [apiKey], forward: [apiKey], forged, shapeless }[what];
await load.run({ port, path: PATH, credentials, count: 20_000 });

const data = join(tmpdir(), `keyward-bench-${process.pid}.perf`);
const perf = spawn(
  "perf",
  ["record", "-q", "-F", "2999", "-e", "cpu-clock", "-g", "-p", String(workerd.pid), "-o", data],
  { stdio: "inherit" },
);
await load.run({ port, path: PATH, credentials, count: 30_000 });
perf.kill("SIGINT");
await once(perf, "exit");
const report = (...options) =>
  execFileSync("perf", ["report", "-i", data, "--stdio", ...options], {
    encoding: "utf8",
    maxBuffer: 1e9,
    stdio: ["ignore", "pipe", "ignore"],
  });
const rows = (text, most) =>
  text
    .split("\n")
    .filter((row) => /^\s+\d/.test(row))
    .slice(0, most)
    .join("\n");
console.log(`By library:\n${rows(report("--no-children", "-g", "none", "--sort", "dso"), 12)}`);
console.log(`\nBy function, own time:\n${rows(report("--no-children", "-g", "none", "--sort", "dso,symbol"), 70)}`);
console.log(`\nBy function, including callees:\n${rows(report("--children", "-g", "none", "--sort", "symbol"), 110)}`);
console.log(`\nWhole recording: perf report -i ${data}`);
load.stop();
origin.stop();
await workerd.stop();

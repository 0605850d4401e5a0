// Compares builds of Keyward with the forwarder in one interleaved run, for changes of the hot path.
//
//     cp -r build /tmp/before      (change something, npm run build)
//     node bench/compare.mjs /tmp/before build

import { readFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { ControlPlane, forged, keyward, NEVER_REACHED, peers, shapeless } from "./lib/gates.mjs";
import { startLoad, startOrigin } from "./lib/processes.mjs";
import { PATH } from "./lib/request.mjs";
import { median, ratio, runRounds } from "./lib/rounds.mjs";
import { startWorkerd } from "./lib/workerd.mjs";

const { ROUNDS = 60, COUNT = 200, ONLY = "accept,forged,shapeless" } = process.env;

const builds = process.argv.slice(2).map((folder) => resolve(folder));
const [origin, load] = [await startOrigin(), startLoad()];
const { forward, edit } = peers(origin, { honoFile: "", usualBuild: "" });
const services = { forward, edit, keyward: keyward(origin) };
for (const [index, build] of builds.entries()) {
  // A build of an earlier version has no object for usage.
  const usage = /\bUsage\b/.test(readFileSync(join(build, "index.js"), "utf8"));
  services[`b${index}`] = keyward(origin, { build, usage });
}
const workerd = await startWorkerd(services, origin);
const control = new ControlPlane(workerd.ports.keyward);
await control.bootstrap();
const { apiKey } = await control.issue();
const limited = (await control.issue({ limits: NEVER_REACHED })).apiKey;

const kinds = {
  accept: { credentials: [apiKey], expect: 200 },
  limited: { credentials: [limited], expect: 200 },
  forged: { credentials: forged, expect: 401 },
  shapeless: { credentials: shapeless, expect: 401 },
};
const variants = ["forward", "edit"].map((name) => ({ name, port: workerd.ports[name], ...kinds.accept }));
builds.forEach((build, index) => {
  for (const kind of ONLY.split(","))
    variants.push({ name: `${kind} ${basename(build)}`, port: workerd.ports[`b${index}`], ...kinds[kind] });
});
const ready = variants.map(({ credentials, ...variant }) => ({
  ...variant,
  path: PATH,
  count: Number(COUNT),
  order: () => ({ credentials }),
}));
await runRounds(
  ready.map((variant) => ({ ...variant, count: 1000 })),
  { rounds: 4, workerd, load },
);
const results = await runRounds(ready, { rounds: Number(ROUNDS), workerd, load });
// On a shared machine, the cheapest rounds are the least disturbed ones.
const low = (name) => [...results[name].cpu].sort((one, other) => one - other)[Math.floor(Number(ROUNDS) / 8)];
console.log("".padEnd(30), "median µs, ratio (quartiles); first octile: µs, ratio");
for (const { name } of variants) {
  const { median: middle, quartiles } = ratio(results, name, "forward");
  const spread = quartiles.map((one) => one.toFixed(2)).join(" to ");
  console.log(
    name.padEnd(30),
    median(results[name].cpu).toFixed(1).padStart(6),
    middle.toFixed(3),
    `(${spread})`,
    low(name).toFixed(1).padStart(6),
    (low(name) / low("forward")).toFixed(3),
  );
}
load.stop();
origin.stop();
await workerd.stop();

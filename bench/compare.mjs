// For whoever changes the hot path: several builds of Keyward beside the forwarder, in one interleaved run.
//
//     cp -r build /tmp/before      (change something, npm run build)
//     node bench/compare.mjs /tmp/before build

import { basename, resolve } from "node:path";
import { ControlPlane, forged, keyward, peers, shapeless } from "./lib/gates.mjs";
import { startLoad, startOrigin } from "./lib/processes.mjs";
import { PATH } from "./lib/request.mjs";
import { median, ratio, runRounds } from "./lib/rounds.mjs";
import { startWorkerd } from "./lib/workerd.mjs";

const rounds = Number(process.env.ROUNDS ?? 25);
const builds = process.argv.slice(2).map((folder) => resolve(folder));
const [origin, load] = [await startOrigin(), startLoad()];
const services = { forward: peers(origin, { honoFile: "", usualBuild: "" }).forward, keyward: keyward(origin) };
builds.forEach((build, index) => (services[`b${index}`] = keyward(origin, { build })));
const workerd = await startWorkerd(services, origin);
const control = new ControlPlane(workerd.ports.keyward);
await control.bootstrap();
const { apiKey } = await control.issue();

const variants = [{ name: "forward", port: workerd.ports.forward, credentials: [apiKey], expect: 200 }];
builds.forEach((build, index) => {
  const port = workerd.ports[`b${index}`];
  variants.push({ name: `accept ${basename(build)}`, port, credentials: [apiKey], expect: 200 });
  variants.push({ name: `forged ${basename(build)}`, port, credentials: forged, expect: 401 });
  variants.push({ name: `shapeless ${basename(build)}`, port, credentials: shapeless, expect: 401 });
});
const ready = variants.map((variant) => ({ ...variant, path: PATH, count: 1000, order: () => ({ credentials: variant.credentials }) }));
await runRounds(ready, { rounds: 4, workerd, load });
const results = await runRounds(ready, { rounds, workerd, load });
for (const { name } of variants) {
  const { median: middle, quartiles } = ratio(results, name, "forward");
  console.log(`${name.padEnd(36)} ${median(results[name].cpu).toFixed(1).padStart(6)} µs  ${middle.toFixed(3)}  (${quartiles.map((one) => one.toFixed(3)).join(" to ")})`);
}
load.stop();
origin.stop();
await workerd.stop();

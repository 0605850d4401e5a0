// `npm run bench`: compares Keyward with a worker that only forwards and with other implementations of a gate, in one workerd
// process without a network. Prints tables and writes them to bench/RESULTS.md and bench/results.svg.
//
//     npm run bench                 everything, about 5 minutes
//     npm run bench -- --quick      a tenth of the rounds, writes nothing: a test of the benchmark itself

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { platform, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { ROOT } from "../tools/paths.mjs";
import { duration, main, Stop } from "../tools/run.mjs";
import { buildAll, honoFile, usualBuild } from "./build.mjs";
import { chart } from "./chart.mjs";
import { FEED_SERVICES, growth, KEY_SERVICES, NETWORK_COUNTS, networksOf, ROUTE_COUNTS, routesOf } from "./growth.mjs";
import { FIRST_USES, hotPath, WARM_ROUNDS } from "./hot-path.mjs";
import { asker, ControlPlane, keyward, NEVER_REACHED, peerKey, peers, wasmFile } from "./lib/gates.mjs";
import { startLoad, startOrigin } from "./lib/processes.mjs";
import { startWorkerd } from "./lib/workerd.mjs";
import { memory } from "./memory.mjs";
import { feed, fillUp, fillWithRevoked, listPage, revokeAll, timed } from "./registry.mjs";
import { report } from "./report.mjs";
import { start } from "./start.mjs";

const quick = process.argv.includes("--quick");
const amount = (full, small) => (quick ? small : full);
const began = Date.now();

const log = (text) => console.log(`${duration(Date.now() - began).padStart(12)}  ${text}`);

/** Returns a function that logs progress, at most every five seconds. */
function progress(what) {
  let last = Date.now();
  return (done, of) => {
    if (Date.now() - last < 5_000) return;
    last = Date.now();
    log(`${what}: ${done} of ${of}`);
  };
}

main(async () => {
  if (platform() !== "linux") throw new Stop("The benchmark reads CPU time from /proc. Run it on Linux.");
  await buildAll();
  const state = mkdtempSync(join(tmpdir(), "keyward-bench-state-"));
  const [origin, load] = [await startOrigin(), startLoad()];
  try {
    const results = await measure({ origin, load, state });
    const { markdown, text } = report(results);
    console.log(`\n${text}`);
    if (quick) return;
    writeFileSync(join(ROOT, "bench", "RESULTS.md"), markdown);
    writeFileSync(join(ROOT, "bench", "results.svg"), chart(results));
    console.log("Written: bench/RESULTS.md, bench/results.svg");
  } finally {
    load.stop();
    origin.stop();
    rmSync(state, { recursive: true, force: true });
  }
});

async function measure({ origin, load, state }) {
  const gates = peers(origin, { honoFile, usualBuild });
  const gate = keyward(origin);
  const step = (name, rounds) => {
    log(name);
    const shown = progress(name);
    return { load, origin, rounds, onRound: (round) => shown(round, rounds) };
  };

  const known = await peerKey(origin);
  const fedGates = Object.fromEntries(FEED_SERVICES.map((name) => [name, keyward(origin, { registry: name })]));
  let workerd = await startWorkerd({ ...gates, keyward: gate, firstuse: gate, ...fedGates }, { ...origin, state });
  try {
    const control = new ControlPlane(workerd.ports.keyward);
    await control.bootstrap();
    const rounds = amount(60, 6);
    const count = (rounds + WARM_ROUNDS) * FIRST_USES;
    log(`issuing ${count} keys through the control plane`);
    const writesBefore = await origin.writes();
    const issued = await timed(count, () => control.issueMany(count));
    const keys = issued.result;
    const limitedKey = await control.issue({ limits: NEVER_REACHED });
    log("waiting for their copies in KV, to keep these writes out of the rounds");
    while ((await origin.writes()) - writesBefore < count + 1) await pause(200);
    const path = await hotPath({
      ...step("comparing the gates, in rounds", rounds),
      workerd,
      keys,
      accepted: keys[0].apiKey,
      limited: limitedKey.apiKey,
      peerKey: known,
    });
    log("revoking");
    const revoked = await revokeAll(control, keys.slice(-amount(300, 50)));
    const fed = await Promise.all(FEED_SERVICES.map((name) => new ControlPlane(workerd.ports[name]).firstKey()));
    await workerd.stop();

    log("filling registries: 100,000 keys, 50,000 revoked ones");
    const apiKeys = fillUp(state, "keyward", 10_000);
    fillWithRevoked(state, "feed50000");
    const services = { keyward: gate, ...fedGates, ask: asker("feed50000") };
    for (const name of KEY_SERVICES) services[name] = gate;
    for (const routes of ROUTE_COUNTS) services[`routes${routes}`] = keyward(origin, { routes: routesOf(routes) });
    workerd = await startWorkerd(services, { ...origin, state });
    control.moveTo(workerd.ports.keyward);
    log("waiting for the copies of 10,000 keys");
    const written = (await origin.writes()) + apiKeys.length;
    await control.list();
    while ((await origin.writes()) < written) await pause(200);
    log("pages of a list of 100,000 keys");
    const page = await listPage(control);
    const limited = [];
    for (const networks of NETWORK_COUNTS) limited.push(await control.issue({ allowed_cidrs: networksOf(networks) }));
    const told = await feed(workerd.ports.ask);
    const grown = await growth({ ...step("growth, in rounds", amount(30, 4)), workerd, apiKeys, limited, fed });
    await workerd.stop();

    log("starts of a new workerd");
    const started = await start({ forward: gates.forward, keyward: gate, origin, times: amount(11, 3) });
    const most = amount(1_000_000, 50_000);
    log(`${most.toLocaleString("en")} distinct malformed keys`);
    const held = await memory({ keyward: gate, origin, load, most, onBatch: progress("malformed keys") });
    const gzipped = gzipSync(wasmFile(), { level: 9 }).length;
    return {
      path,
      grown,
      started,
      held,
      gzipped,
      registry: { issued: issued.perSecond, revoked: revoked.perSecond, page, feed: told },
    };
  } finally {
    await workerd.stop();
  }
}

// Memory of a process before and after a million distinct malformed keys.
//
// V8 collects garbage late: without a limit, workerd grows from 290 MB to 590 MB in 300,000 requests that a worker of one line refuses.
// So its heap has Cloudflare's limit for an isolate here.

import { setTimeout as pause } from "node:timers/promises";
import { PATH } from "./lib/request.mjs";
import { startWorkerd } from "./lib/workerd.mjs";

export async function memory({ keyward, origin, load, most = 1_000_000, onBatch }) {
  const workerd = await startWorkerd({ keyward }, { ...origin, v8Flags: ["--max-heap-size=128"] });
  const reads = await origin.reads();
  const batch = async (firstMalformed, count) => {
    const { statuses } = await load.run({
      port: workerd.ports.keyward,
      path: PATH,
      count,
      firstMalformed,
      connections: 16,
    });
    if (statuses[401] !== count) throw new Error(`Malformed keys were answered ${JSON.stringify(statuses)}`);
  };
  // Lets V8's heap grow to its working size first.
  await batch(0, 50_000);
  await pause(500);
  const before = workerd.residentBytes();
  for (let sent = 0; sent < most; sent += 50_000) {
    await batch(50_000 + sent, Math.min(50_000, most - sent));
    onBatch(sent + 50_000, most);
  }
  await pause(500);
  const after = workerd.residentBytes();
  await workerd.stop();
  return { count: most, before, after, reads: (await origin.reads()) - reads };
}

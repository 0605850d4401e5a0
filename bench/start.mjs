// Time from the start of a workerd process to its first answer, alternating with the forwarder.

import { request } from "node:http";
import { median } from "./lib/rounds.mjs";
import { startWorkerd } from "./lib/workerd.mjs";

export async function start({ forward, keyward, origin, times = 9 }) {
  const taken = { forward: [], keyward: [] };
  for (let time = 0; time < times; time += 1) {
    for (const [name, service] of Object.entries({ forward, keyward })) {
      const workerd = await startWorkerd({ [name]: service }, origin);
      await answered(workerd.ports[name]);
      taken[name].push(performance.now() - workerd.began);
      await workerd.stop();
    }
  }
  const ratios = taken.keyward.map((one, time) => one / taken.forward[time]);
  return { forward: median(taken.forward), keyward: median(taken.keyward), ratio: median(ratios) };
}

/** A public path, which both forward. */
const answered = (port) =>
  new Promise((resolve, reject) => {
    const sent = request(
      { host: "127.0.0.1", port, path: "/public/logo", headers: { host: "api.example.com" } },
      (response) => {
        if (response.statusCode !== 200) reject(new Error(`The first answer was ${response.statusCode}`));
        response.resume().once("end", resolve);
      },
    );
    sent.once("error", reject).end();
  });

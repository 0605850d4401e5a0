// Fills a local deployment through its API, step by step, so that every screen of the console has something to show.

import { Deployment } from "./deployment.mjs";
import { STEPS } from "./steps.mjs";

/** Settings of the demo besides those of a local start: what the steps show needs them. */
export const DEMO_VARS = {
  ON_EXPOSURE: { url: "quarantine", browser: "record", http: "record" },
};

/**
 * Runs the steps in order and returns the credentials to sign in with, by role, and the past of keys, which `writeHistory` writes. A step
 * whose operation this deployment lacks is left out. `receiver` is the address of a receiver of events, and `report` receives the name of
 * each step.
 * @param {{ gate: string, control: string, token: string, receiver: string, report?: (name: string) => void }} options
 */
export async function fill({ gate, control, token, receiver, report = () => {} }) {
  const deployment = new Deployment(gate, control, receiver);
  await deployment.begin(token);
  for (const { name, needs, run } of STEPS) {
    if (needs && !deployment.has(needs)) continue;
    report(name);
    await run(deployment);
  }
  return { signIns: deployment.signIns, pasts: deployment.pasts };
}

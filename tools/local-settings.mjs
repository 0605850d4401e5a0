// What `npm start` sets for this machine: three ports in a row, and the worker's settings that follow from them.

/** Gate at `port`, demo origin and control plane at the two ports after it. */
export const portsOf = (port) => ({ gate: port, demo: port + 1, control: port + 2 });

/**
 * The worker's settings and the addresses to show. `shipped` are the vars of wrangler.toml and `devVars` those of .dev.vars,
 * which win. Origins, a control host and hosts for events of wrangler.toml do not count here: they are the deployment's. `demo` is
 * null if no origin is the demo's.
 */
export function localSettings({ shipped, devVars, port }) {
  const ports = portsOf(port);
  const demo = `http://127.0.0.1:${ports.demo}`;
  const vars = {
    ...shipped,
    ORIGIN_LIVE: demo,
    ORIGIN_TEST: demo,
    CONTROL_HOST: `localhost:${ports.control}`,
    EVENT_HOSTS: ["localhost:*"],
    ...withoutFormerDemo(devVars),
  };
  const gate = `http://localhost:${port}`;
  return {
    vars,
    ports: [ports.gate, ports.control],
    gate,
    control: vars.CONTROL_HOST ? `http://${vars.CONTROL_HOST}` : gate,
    demo: [vars.ORIGIN_LIVE, vars.ORIGIN_TEST].includes(demo) ? demo : null,
  };
}

/** Earlier versions wrote the demo's address into .dev.vars: as both origins, and as DEMO_ORIGIN. */
function withoutFormerDemo({ DEMO_ORIGIN: former, ...devVars }) {
  const isOwn = ([name, value]) => !(former && value === former && ["ORIGIN_LIVE", "ORIGIN_TEST"].includes(name));
  return Object.fromEntries(Object.entries(devVars).filter(isOwn));
}

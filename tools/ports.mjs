// Free ports of this machine.

import { createServer } from "node:net";
import { networkInterfaces } from "node:os";

/** Returns both loopback addresses, because `localhost` may mean either. Some containers have no IPv6. */
export function loopbackHosts() {
  const hasIpv6 = Object.values(networkInterfaces()).some((addresses) =>
    addresses?.some(({ address }) => address === "::1"),
  );
  return hasIpv6 ? ["127.0.0.1", "::1"] : ["127.0.0.1"];
}

export async function isFree(port) {
  for (const host of loopbackHosts()) {
    if (!(await canListen(port, host))) return false;
  }
  return true;
}

/** Returns the first free port from `from` on, except `but`. */
export async function freePort(from, but) {
  for (let port = from; port < from + 100; port += 1) {
    if (port !== but && (await isFree(port))) return port;
  }
  throw new Error(`No free port between ${from} and ${from + 99}`);
}

function canListen(port, host) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}

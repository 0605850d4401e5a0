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

/** Returns the first of three free ports in a row, from `from` on. */
export async function freePorts(from) {
  for (let port = from, free = 0; port < from + 100; port += 1) {
    free = (await isFree(port)) ? free + 1 : 0;
    if (free === 3) return port - 2;
  }
  throw new Error(`No three free ports in a row between ${from} and ${from + 99}`);
}

function canListen(port, host) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}

// Ports of servers in tests.

import { freePorts } from "../../../tools/ports.mjs";

/**
 * Returns the port on which a server listens.
 * @param {import("node:net").Server} server
 */
export function portOf(server) {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The server does not listen on a port");
  return address.port;
}

/**
 * Returns the first of three free ports in a row, below the ephemeral ports. Test files that start together have consecutive process ids;
 * they search ten ports apart, so that no two of them find the same ports free.
 */
export const testPorts = () => freePorts(20_000 + ((process.pid * 10) % 12_000));

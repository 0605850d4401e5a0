// Finds installed programs, starts them with a configuration of examples/, and stops them.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, mkdtempSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { portOf } from "./ports.mjs";
import { until } from "./wait.mjs";

/** Returns the path of a program, or `undefined`. Debian installs servers outside the PATH of most users. */
export function findProgram(name) {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
  return folders
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** Prints a notice that something was not tested. With KEYWARD_TRY_ALL set it throws instead. */
export function skipLoudly(what, how) {
  const message = `NOT TRIED: ${what}. ${how}`;
  if (process.env.KEYWARD_TRY_ALL) throw new Error(message);
  console.error(`\n*** ${message}\n`);
  return message;
}

/** Returns a port of this machine that was free just now. */
export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const port = portOf(server);
  server.close();
  await once(server, "close");
  return port;
}

/** Starts a program in a temporary folder and waits until it listens. `prepare` gets the folder and returns the arguments. */
export async function startProgram(path, port, prepare, { env = {}, within = 10_000 } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "keyward-program-"));
  const child = spawn(path, prepare(folder), {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, HOME: folder, ...env },
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (part) => (output += part));
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      await ended;
    }
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await until(
      `${path} listens`,
      () => {
        if (child.exitCode !== null) throw new Error(`${path} ended:\n${output}`);
        return listens(port);
      },
      { within },
    );
  } catch (error) {
    await stop();
    throw new Error(`${error.message}\n${output}`);
  }
  return { url: `http://127.0.0.1:${port}`, stop, log: () => output };
}

const listens = (port) =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => resolve(socket.destroy() && true));
    socket.on("error", () => resolve(false));
  });

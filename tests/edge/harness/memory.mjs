// Memory of the workerd processes below this one, from /proc on Linux.

import { readdirSync, readFileSync } from "node:fs";

/** Returns megabytes, or null on other systems. */
export function workerdMemory(root = process.pid) {
  try {
    const processes = readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map(describe)
      .filter(Boolean);
    const below = new Set([root]);
    // A child has a larger id than its parent, except after a wrap-around; three passes find those children too.
    for (let pass = 0; pass < 3; pass += 1)
      for (const { pid, parent } of processes) if (below.has(parent)) below.add(pid);
    const found = processes.filter(({ pid, name }) => below.has(pid) && name === "workerd");
    return found.length === 0 ? null : Math.round(found.reduce((sum, { kilobytes }) => sum + kilobytes, 0) / 1024);
  } catch {
    return null;
  }
}

function describe(pid) {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const field = (name) => new RegExp(`^${name}:\\s+(\\S+)`, "m").exec(status)?.[1];
    return {
      pid: Number(pid),
      parent: Number(field("PPid")),
      name: field("Name"),
      kilobytes: Number(field("VmRSS") ?? 0),
    };
  } catch {
    return null; // The process ended meanwhile.
  }
}

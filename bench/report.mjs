// The results as tables: for the terminal and for bench/RESULTS.md.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, loadavg, release, totalmem } from "node:os";
import { join } from "node:path";
import { ROOT } from "../tools/paths.mjs";

export const TITLES = {
  forward: "JavaScript that only forwards",
  edit: "JavaScript that forwards and edits headers",
  bare: "bare `fetch(request)`",
  hono: "the gate in Hono",
  usual: "the gate with the `worker` crate",
  accept: "Keyward, accepted",
  shapeless: "Keyward, garbage without form",
  forged: "Keyward, garbage with all but the tag",
  first: "Keyward, first use of a key",
};

const MEBIBYTE = 1024 * 1024;
const fixed = (number, digits = 0) =>
  number.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
const spread = ({ median, quartiles: [low, high] }) => `${fixed(median, 2)} (${fixed(low, 2)} to ${fixed(high, 2)})`;

/** Each goal of the project, what was measured, and whether it holds. */
export function goals({ path, started, held, gzipped }) {
  const of = (name) => path.rows.find((row) => row.name === name).ratio.median;
  const garbage = Math.max(of("shapeless"), of("forged"));
  const grownBy = (held.after - held.before) / MEBIBYTE;
  return [
    ["accepted, CPU beside forwarding only", "at most 1.15", fixed(of("accept"), 2), of("accept") <= 1.15],
    ["accepted, CPU beside Hono", "at most 0.70", fixed(path.acceptToHono.median, 2), path.acceptToHono.median <= 0.7],
    ["garbage refused, CPU beside forwarding only", "at most 0.60", fixed(garbage, 2), garbage <= 0.6],
    ["garbage refused, reads of KV", "0", String(path.garbageReads + held.reads), path.garbageReads + held.reads === 0],
    [
      "first answer of a fresh workerd beside forwarding only",
      "at most 1.50",
      fixed(started.ratio, 2),
      started.ratio <= 1.5,
    ],
    ["wasm, gzipped", "at most 300 KB", `${fixed(gzipped / 1000, 1)} KB`, gzipped <= 300_000],
    [
      `memory after ${fixed(held.count)} different garbage keys`,
      "at most 16 MB more",
      `${fixed(grownBy, 1)} MB more`,
      grownBy <= 16,
    ],
  ];
}

function tables({ path, grown, started, registry, held, ...rest }) {
  return [
    [
      "Goals",
      ["goal", "promised", "measured", "holds"],
      goals({ path, started, held, ...rest }).map((row) => [...row.slice(0, 3), row[3] ? "yes" : "**no**"]),
    ],
    [
      "Each request",
      ["worker", "CPU, µs", "beside forwarding only (quarter points)", "requests/s", "p50, µs", "p99, µs"],
      path.rows.map(({ name, cpu, ratio, perSecond, p50, p99 }) => [
        TITLES[name],
        fixed(cpu),
        spread(ratio),
        fixed(perSecond),
        fixed(p50),
        fixed(p99),
      ]),
    ],
    [
      "Growth, accepted requests",
      ["with", "CPU, µs", "beside the first of its kind (quarter points)", "within 10 %"],
      grown.map(({ name, cpu, ratio }) => [name, fixed(cpu), spread(ratio), ratio.median <= 1.1 ? "yes" : "**no**"]),
    ],
    [
      "The registry in workerd, over HTTP",
      ["what", "measured"],
      [
        ["keys issued, eight at a time; one credential may 100/s", `${fixed(registry.issued)}/s`],
        ["keys revoked, eight at a time; the same", `${fixed(registry.revoked)}/s`],
        ["a page of 50 among 100,000 keys", `${fixed(registry.page, 1)} ms`],
        ["what has changed, asked beside 50,000 revoked keys", `${fixed(registry.feed.deltas)}/s`],
        [
          "a snapshot of 50,000 revoked keys, as sent",
          `${fixed(registry.feed.bytes / 1e6, 2)} MB in ${registry.feed.pages} pages`,
        ],
      ],
    ],
    [
      "Start and memory",
      ["what", "only forwards", "Keyward"],
      [
        ["start of workerd to its first answer", `${fixed(started.forward)} ms`, `${fixed(started.keyward)} ms`],
        [
          `resident before and after ${fixed(held.count)} garbage keys`,
          "",
          `${fixed(held.before / MEBIBYTE)} MB, ${fixed(held.after / MEBIBYTE)} MB`,
        ],
      ],
    ],
  ];
}

export function report(results) {
  const all = tables(results);
  const text = all.map(([title, head, rows]) => `${title}\n${aligned([head, ...rows])}`).join("\n\n");
  const markdown = `# What the gate costs

Made by \`npm run bench\`: do not edit. ${new Date().toISOString().slice(0, 10)}, ${machine()}.

One workerd process holds every worker; origin and load generator are processes of their own. Short rounds, every worker in each.
CPU is the time of all threads of the workerd process, from /proc, by request; what counts is the median of the ratios within the
rounds. Latency is that of 8 connections in a closed loop on the same machine.

![CPU time of each request](results.svg)

${all.map(([title, head, rows]) => `## ${title}\n\n${[head, head.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n")}`).join("\n\n")}

With 10,000 keys each comes less than once in half a minute here, so nearly every request has its key's assertion signed anew, which
takes most of what that row has more (docs/decisions/0012-webcrypto-signs.md). Keyward's requests carry the signed assertion (a header of about 600 bytes), which no peer makes. For the memory V8's heap has the
limit that Cloudflare gives an isolate, 128 MB: without one it grows under any worker. The registry natively on SQLite: \`cargo bench\`.
`;
  return { text: text.replaceAll("**", "").replaceAll("`", ""), markdown };
}

function aligned(rows) {
  const plain = rows.map((row) => row.map((cell) => cell.replaceAll("**", "").replaceAll("`", "")));
  const widths = plain[0].map((_, column) => Math.max(...plain.map((row) => row[column].length)));
  return plain
    .map(
      (row) =>
        `  ${row
          .map((cell, column) => cell.padEnd(widths[column]))
          .join("  ")
          .trimEnd()}`,
    )
    .join("\n");
}

function machine() {
  const [{ model }] = cpus();
  const version = (name) => JSON.parse(readFileSync(join(ROOT, "node_modules", name, "package.json"), "utf8")).version;
  return [
    `${cpus().length} × ${model.trim()}`,
    `${fixed(totalmem() / 2 ** 30)} GB`,
    `Linux ${release()}`,
    `workerd ${version("workerd")}`,
    `Hono ${version("hono")}`,
    `worker crate ${/name = "worker"\nversion = "([^"]+)"/.exec(readFileSync(join(ROOT, "Cargo.lock"), "utf8"))[1]}`,
    `Node ${process.versions.node}`,
    `Keyward at ${commit()}`,
    // The bench itself keeps two to three processes busy; more means that others used the machine.
    `load ${fixed(loadavg()[2], 1)} over the last quarter of an hour`,
  ].join(", ");
}

function commit() {
  try {
    return execFileSync("git", ["describe", "--always", "--dirty"], { cwd: ROOT, encoding: "utf8" }).trim();
  } catch {
    return "no commit";
  }
}

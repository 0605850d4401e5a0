// Chart of the CPU time of each request, as one SVG without background for light and dark colour schemes.

import { TITLES } from "./report.mjs";

const SHOWN = ["forward", "edit", "accept", "usual", "hono", "forged"];
const [WIDTH, LEFT, ROW, TOP] = [760, 310, 34, 44];

export function chart({ path }) {
  const rows = SHOWN.map((name) => path.rows.find((row) => row.name === name));
  const most = Math.max(...rows.map(({ ratio }) => ratio.median));
  const scale = (WIDTH - LEFT - 80) / most;
  const bars = rows.map(({ name, ratio }, index) => {
    const y = TOP + index * ROW;
    const width = (ratio.median * scale).toFixed(1);
    const kind = ["forward", "edit"].includes(name) ? "limit" : ["accept", "forged"].includes(name) ? "ours" : "peer";
    return `  <text x="${LEFT - 12}" y="${y + 16}" text-anchor="end">${TITLES[name].replaceAll("`", "")}</text>
  <rect class="${kind}" x="${LEFT}" y="${y}" width="${width}" height="22" rx="2"/>
  <text x="${LEFT + Number(width) + 8}" y="${y + 16}">${ratio.median.toFixed(2)}</text>`;
  });
  const height = TOP + rows.length * ROW + 8;
  const limit = (LEFT + scale).toFixed(1);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="CPU time of each request relative to a worker that only forwards: ${rows.map(({ name, ratio }) => `${TITLES[name].replaceAll("`", "")} ${ratio.median.toFixed(2)}`).join(", ")}">
  <style>
    text { font: 14px system-ui, sans-serif; fill: #24292f; }
    .limit { fill: #8c959f; } .ours { fill: #0969da; } .peer { fill: #d4a72c; }
    line { stroke: #8c959f; stroke-dasharray: 3 3; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3; }
      .limit { fill: #6e7681; } .ours { fill: #58a6ff; } .peer { fill: #bb8009; }
    }
  </style>
  <text x="${LEFT}" y="24">CPU time of each request; only forwarding is 1</text>
  <line x1="${limit}" y1="${TOP - 8}" x2="${limit}" y2="${height - 8}"/>
${bars.join("\n")}
</svg>
`;
}

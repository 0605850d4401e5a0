// Prints the sections of the wasm and its largest functions.
//
//     node bench/sizes.mjs [file]

import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const SECTIONS = [
  "custom",
  "type",
  "import",
  "function",
  "table",
  "memory",
  "global",
  "export",
  "start",
  "element",
  "code",
  "data",
  "data count",
  "tag",
];

const bytes = readFileSync(process.argv[2] ?? "build/index_bg.wasm");
let at = 8;

function number() {
  let result = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++];
    result += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return result;
  }
}

function text() {
  const length = number();
  at += length;
  return bytes.toString("utf8", at - length, at);
}

const functions = [];
const names = new Map();
let imported = 0;

console.log(`${bytes.length} bytes, ${gzipSync(bytes, { level: 9 }).length} gzipped\n`);
while (at < bytes.length) {
  const kind = bytes[at++];
  const size = number();
  const end = at + size;
  const name = kind === 0 ? `custom ${text()}` : SECTIONS[kind];
  const gzipped = gzipSync(bytes.subarray(end - size, end), { level: 9 }).length;
  console.log(`${name.padEnd(28)} ${String(size).padStart(8)}  gzipped ${String(gzipped).padStart(8)}`);
  if (name === "code") {
    for (let left = number(); left > 0; left -= 1) {
      const length = number();
      functions.push(length);
      at += length;
    }
  } else if (name === "import") {
    for (let left = number(); left > 0; left -= 1) {
      text();
      text();
      const what = bytes[at++];
      if (what === 0) {
        number();
        imported += 1;
      } else if (what === 3) at += 2;
      else if (what === 4) {
        at += 1;
        number();
      } else break; // the functions come first
    }
  } else if (name === "custom name") {
    while (at < end) {
      const part = bytes[at++];
      const partEnd = number() + at;
      if (part === 1) for (let left = number(); left > 0; left -= 1) names.set(number(), text());
      at = partEnd;
    }
  }
  at = end;
}

console.log("\nThe largest functions:");
const named = functions.map((size, index) => [size, names.get(index + imported) ?? `function ${index + imported}`]);
for (const [size, name] of named.sort(([one], [other]) => other - one).slice(0, 30))
  console.log(`${String(size).padStart(8)}  ${name}`);

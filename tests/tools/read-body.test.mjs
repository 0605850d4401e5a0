// Bodies as the worker reads them: how much memory one takes, and for how long.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";

// Not a static import: the glue has the types of the runtime.
const GLUE = new URL("../../src/glue.js", import.meta.url).href;
const { readBody } = await import(GLUE);

/** A message whose body has these parts, each an array of bytes. It ends only if `ends`. */
function messageOf(parts, ends = true) {
  const left = [...parts];
  const pull = (controller) => {
    if (left.length > 0) controller.enqueue(Uint8Array.from(left.shift()));
    else if (ends) controller.close();
    else return new Promise(() => {});
  };
  return { body: new ReadableStream({ pull }) };
}

test("a body is read whole up to the limit, in whatever parts it arrives", async () => {
  const bytes = Array.from({ length: 10_000 }, (_, at) => at % 251);
  for (const size of [1, 7, 4_095, 4_096, 4_097, 10_000]) {
    const parts = [];
    for (let at = 0; at < bytes.length; at += size) parts.push(bytes.slice(at, at + size));
    assert.deepEqual([...(await readBody(messageOf(parts), 10_000))], bytes, `parts of ${size} bytes`);
    assert.equal(await readBody(messageOf(parts), 9_999), null);
  }
  assert.equal((await readBody({ body: null }, 10)).length, 0);
  assert.equal((await readBody(messageOf([]), 10)).length, 0);
});

test("a body that does not arrive in time is no body, whatever arrived of it", async () => {
  await assert.rejects(readBody(messageOf([[1, 2]], false), 10, 50), /timeout/);
  assert.equal((await readBody(messageOf([[1, 2]]), 10, 50)).length, 2);
});

test("a mebibyte in parts of one byte takes a few mebibytes of memory", async () => {
  const script = `
    import { readBody } from ${JSON.stringify(GLUE)};
    let left = 1_048_576;
    const pull = (controller) => (left-- > 0 ? controller.enqueue(new Uint8Array(1)) : controller.close());
    const body = await readBody({ body: new ReadableStream({ pull }, { highWaterMark: 0 }) }, 1_048_576, 60_000);
    console.log(body.length);`;
  const options = ["--max-old-space-size=48", "--input-type=module", "--eval", script];
  const { stdout } = await promisify(execFile)(process.execPath, options, { timeout: 120_000 });
  assert.equal(stdout.trim(), "1048576");
});

// The audit log: pages, stream, signed checkpoint, and an independent verifier.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash, createPublicKey, verify } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { ensurePython, PYTHON } from "../../tools/python.mjs";
import { canonical } from "./harness/audit-chain.mjs";
import { startGate } from "./harness/gate.mjs";
import { KEYS, MEMBERS, newMember } from "./harness/members.mjs";
import { requestBytes } from "./harness/raw.mjs";
import { ROOT } from "./harness/settings.mjs";

const AUDIT = "/_keyward/v1/audit";
const NDJSON = { accept: "application/x-ndjson" };
let gate;
const audit = (query = "", request = {}) => gate.call(AUDIT + query, { key: gate.owner, ...request });
const linesOf = (text) =>
  text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line));
const checkpoint = async () => (await audit("/checkpoint")).text;
const total = () => gate.sql("SELECT count(*) AS count FROM audit")[0].count;

before(async () => {
  gate = await startGate({ instrumented: true, vars: { ORIGIN_LIVE: "http://127.0.0.1:1" } });
  await gate.bootstrap({ name: 'Zoë “Ö” 連携 👩‍🚀 \\ "', email: "olive@acme.example" });
  for (let index = 0; index < 6; index += 1) {
    const { id } = await gate.newKey();
    await gate.call(`${KEYS}/${id}`, {
      method: "PATCH",
      key: gate.owner,
      json: { purpose: `Purpose ${index} <b>&\u00e9` },
    });
    if (index % 2) await gate.call(`${KEYS}/${id}/rotate`, { method: "POST", key: gate.owner, json: {} });
    else await gate.revoke(id, "Leaked in a log: “é”");
  }
  const member = await newMember(gate);
  await gate.call(`${MEMBERS}/${member.id}`, { method: "PATCH", key: gate.owner, json: { role: "auditor" } });
  for (const what of ["rotate", "revoke"])
    await gate.call(`${MEMBERS}/${member.id}/${what}`, { method: "POST", key: gate.owner });
});
after(() => gate?.stop());

describe("pages", () => {
  test("every entry is listed once, in order, by after or by cursor", async () => {
    for (const name of ["after", "cursor"]) {
      const seen = [];
      let next = "0";
      while (next !== null) {
        const { status, json } = await audit(`?${name}=${next}&limit=4`);
        assert.equal(status, 200);
        assert.deepEqual(Object.keys(json), ["items", "next_cursor"]);
        seen.push(...json.items);
        next = json.next_cursor;
      }
      assert.deepEqual(
        seen.map(({ seq }) => seq),
        Array.from({ length: total() }, (_, index) => index + 1),
      );
    }
    const { json } = await audit(`?after=${total()}`);
    assert.deepEqual(json, { items: [], next_cursor: null });
  });

  test("an entry names actor, request and client, and every kind of change has an entry", async () => {
    const { items } = (await audit("?limit=200")).json;
    assert.deepEqual(Object.keys(items[0]), ["seq", "at", "actor", "action", "subject", "detail", "previous", "hash"]);
    assert.equal(items[0].actor, "bootstrap");
    for (const { detail } of items) assert.match(detail.request_id, /^[0-9A-Za-z]{16}$/);
    assert.deepEqual([...new Set(items.map(({ action }) => action))].sort(), [
      "bootstrap",
      "key.issue",
      "key.revoke",
      "key.rotate",
      "key.update",
      "member.create",
      "member.revoke",
      "member.rotate",
      "member.update",
    ]);
    const answer = await gate.call(`${KEYS}/${(await gate.newKey()).id}/revoke`, {
      method: "POST",
      key: gate.owner,
      json: { reason: "x" },
      headers: { "cf-connecting-ip": "192.0.2.77" },
    });
    const last = (await audit(`?after=${total() - 1}`)).json.items[0];
    assert.deepEqual(
      [last.detail.request_id, last.detail.client_address],
      [answer.headers["keyward-request-id"], "192.0.2.77"],
    );
  });

  test("an invalid parameter is 400 with the parameter named", async () => {
    for (const [query, field] of [
      ["after=x", "after"],
      ["after=-1", "after"],
      ["cursor=!", "cursor"],
      ["after=1&cursor=1", "cursor"],
      ["limit=0", "limit"],
      ["limit=201", "limit"],
      ["from=1", "from"],
      ["after=1&after=2", "after"],
      ["after=99999999999999999999", "after"],
    ]) {
      const answer = await audit(`?${query}`);
      assert.equal(`${answer.verdict} ${answer.json.field}`, `400 invalid_request ${field}`, query);
    }
  });

  test("a refused request adds no entry", async () => {
    const before = total();
    await gate.issue({ scopes: ["nonsense"] });
    await gate.call(MEMBERS, { method: "POST", key: gate.owner, json: {} });
    await gate.call(KEYS, { key: "x" });
    assert.equal(total(), before);
  });
});

describe("the stream", () => {
  test("contains every entry of the pages, one per line", async () => {
    const answer = await audit("", { headers: NDJSON });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers["content-type"], "application/x-ndjson");
    assert.equal(answer.headers["cache-control"], "no-store");
    assert.match(answer.headers["keyward-request-id"], /^[0-9A-Za-z]{16}$/);
    assert.deepEqual(linesOf(answer.text), (await audit("?limit=200")).json.items);
    assert.deepEqual(linesOf((await audit("?after=3", { headers: NDJSON })).text)[0].seq, 4);
    assert.equal((await audit("?after=100000", { headers: NDJSON })).text, "");
  });

  test("a refusal is 401, 403 or 400 and no stream", async () => {
    const manager = await newMember(gate, { role: "manager" });
    assert.equal((await gate.call(AUDIT, { headers: NDJSON })).verdict, "401 missing_key");
    assert.equal((await audit("", { key: manager.key, headers: NDJSON })).verdict, "403 forbidden");
    assert.equal((await audit("?limit=10", { headers: NDJSON })).verdict, "400 invalid_request");
    assert.equal((await audit("", { method: "HEAD", headers: NDJSON })).status, 200);
  });
});

describe("a stream of a long log", () => {
  const ENTRIES = 20_000;
  let long;
  const ask = () => long.call(AUDIT, { key: long.owner, headers: NDJSON });

  before(async () => {
    long = await startGate({ instrumented: true, vars: { ORIGIN_LIVE: "http://127.0.0.1:1" } });
    await long.bootstrap();
    // About 25 MB, more than the buffers between the object and the client hold. Written into the file directly: as changes they would
    // take minutes.
    let [last] = long.sql("SELECT * FROM audit ORDER BY seq DESC LIMIT 1");
    await long.stop({ keepState: true });
    const folder = join(long.state, "do", "keyward-Registry");
    const database = new DatabaseSync(
      join(
        folder,
        readdirSync(folder).find((name) => /^[0-9a-f]{64}\.sqlite$/.test(name)),
      ),
    );
    const insert = database.prepare(
      "INSERT INTO audit (seq, at, actor, action, subject, detail, previous, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    );
    const detail = { client_address: null, reason: "x".repeat(900), request_id: "0123456789abcdef" };
    database.exec("BEGIN");
    for (let seq = 2; seq <= ENTRIES; seq += 1) {
      const body = {
        seq,
        at: last.at,
        actor: last.actor,
        action: "key.revoke",
        subject: last.subject,
        detail,
        previous: last.hash,
      };
      last = { ...body, hash: createHash("sha256").update(canonical(body)).digest("hex") };
      insert.run(seq, body.at, body.actor, body.action, body.subject, canonical(detail), body.previous, last.hash);
    }
    database.exec("COMMIT");
    database.close();
    await long.start();
  });
  after(() => long?.stop());

  test("arrives complete and in order, a page at a time", async () => {
    await long.take();
    const { text } = await ask();
    let seq = 0;
    for (const line of text.split("\n").slice(0, -1)) {
      seq += 1;
      assert.ok(line.startsWith(`{"seq":${seq},`));
    }
    assert.equal(seq, ENTRIES);
    // A page has at most 1,000 entries and about 1 MB.
    const pages = (await long.take()).registry;
    assert.ok(pages >= ENTRIES / 1000 && pages <= ENTRIES / 500, String(pages));
  });

  test("waits for a slow client, and breaks visibly when the registry fails in the middle", async () => {
    await long.take();
    const { received, asked } = await slowly(long, async () => {
      const { registry } = await long.take();
      await long.order({ registry: "fail" });
      return registry;
    });
    await long.order({ registry: "work" });
    assert.ok(asked < ENTRIES / 1000, `${asked} pages were read while the client read nothing`);
    assert.match(received, /^HTTP\/1\.1 200 /);
    assert.ok(received.includes('{"seq":1,') && !received.includes(`{"seq":${ENTRIES},`));
    assert.ok(!received.endsWith("0\r\n\r\n"), "a partial stream must not end like a complete one");
    await long.logged((line) => line.includes("audit_stream_broken"));
  });

  test("ends when its reader is revoked", async () => {
    const reader = await newMember(long, { role: "auditor" });
    const { received } = await slowly(
      long,
      () => long.call(`${MEMBERS}/${reader.id}/revoke`, { method: "POST", key: long.owner }),
      reader.key,
    );
    assert.ok(received.includes('{"seq":1,') && !received.includes(`{"seq":${ENTRIES},`));
    assert.ok(!received.endsWith("0\r\n\r\n"));
  });
});

/** Reads the head of the stream, runs `meanwhile` without reading, then reads the rest. */
function slowly(gate, meanwhile, key = gate.owner) {
  return new Promise((resolve, reject) => {
    let received = "";
    let asked;
    const bytes = requestBytes(`GET ${AUDIT}`, {
      headers: [`Authorization: Bearer ${key}`, "Accept: application/x-ndjson"],
    });
    const socket = connect({ port: gate.port, host: "127.0.0.1" }, () => socket.write(bytes));
    socket.once("readable", async () => {
      try {
        await pause(1_000);
        asked = await meanwhile();
        socket.on("data", (part) => (received += part.toString("latin1")));
      } catch (error) {
        reject(error);
      }
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve({ received, asked }));
  });
}

describe("the checkpoint", () => {
  const keyOf = (vkey) => {
    const [, name, id, typed] = /^([^+\s]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(vkey);
    const bytes = Buffer.from(typed, "base64");
    assert.equal(createHash("sha256").update(`${name}\n`).update(bytes).digest("hex").slice(0, 8), id);
    assert.equal(bytes[0], 1);
    return {
      name,
      id,
      key: createPublicKey({
        key: { kty: "OKP", crv: "Ed25519", x: bytes.subarray(1).toString("base64url") },
        format: "jwk",
      }),
    };
  };

  test("is a signed note over size and head, which the published key verifies", async () => {
    const answer = await audit("/checkpoint");
    assert.equal(answer.status, 200);
    assert.equal(answer.headers["content-type"], "text/plain; charset=utf-8");
    assert.equal(answer.headers["cache-control"], "no-store");
    const published = await audit("/key");
    assert.equal(published.headers["content-type"], "text/plain; charset=utf-8");
    const lines = published.text.split("\n");
    assert.deepEqual([lines.length, lines[1]], [2, ""]);
    const { name, id, key } = keyOf(lines[0]);
    assert.equal(name, "keyward/wafl");

    const [{ hash }] = gate.sql("SELECT hash FROM audit ORDER BY seq DESC LIMIT 1");
    const text = `keyward/wafl\n${total()}\n${Buffer.from(hash, "hex").toString("base64")}\n`;
    assert.ok(answer.text.startsWith(`${text}\n\u2014 keyward/wafl `), answer.text);
    const signed = Buffer.from(answer.text.slice(text.length + "\n\u2014 keyward/wafl ".length).trimEnd(), "base64");
    assert.equal(signed.subarray(0, 4).toString("hex"), id);
    assert.ok(verify(null, Buffer.from(text), key, signed.subarray(4)));
  });

  test("does not depend on anything in the request", async () => {
    const plain = await checkpoint();
    const answer = await gate.raw(
      requestBytes(`GET ${AUDIT}/checkpoint`, {
        host: "evil.example",
        headers: [`Authorization: Bearer ${gate.owner}`, "X-Forwarded-Host: evil.example"],
      }),
    );
    assert.equal(answer.text, plain);
    assert.equal((await audit("/checkpoint?size=1")).verdict, "400 invalid_request");
  });
});

describe("the independent verifier", () => {
  let folder;
  let log;
  let vkeys;
  let pinned;
  let newest;

  before(async () => {
    await ensurePython();
    folder = mkdtempSync(join(tmpdir(), "keyward-verifier-"));
    vkeys = (await audit("/key")).text;
    pinned = await checkpoint();
    for (let index = 0; index < 5; index += 1) await gate.newKey();
    newest = await checkpoint();
    log = (await audit("", { headers: NDJSON })).text;
  });
  after(() => folder && rmSync(folder, { recursive: true, force: true }));

  const run = ({ data = log, keys = vkeys, notes = [pinned, newest] } = {}) => {
    const file = (name, text) => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    const options = notes.flatMap((note, index) => ["--checkpoint", file(`note-${index}`, note)]);
    const args = [
      join(ROOT, "tests", "audit_verifier", "verify.py"),
      "--vkeys",
      file("vkeys", keys),
      "--log",
      file("log", data),
      ...options,
    ];
    return new Promise((resolve) =>
      execFile(PYTHON, args, { encoding: "utf8" }, (error, stdout, stderr) =>
        resolve(`${error?.code ?? 0} ${stdout.trim()}${stderr.trim().slice(-300)}`),
      ),
    );
  };
  const changed = (change) => {
    const lines = linesOf(log);
    return `${(change(lines) ?? lines).map((entry) => JSON.stringify(entry)).join("\n")}\n`;
  };
  /** Builds a chain with correct numbers, links and hashes over any entries, as an attacker who owns the table could. */
  const rechained = (entries) => {
    let previous = "0".repeat(64);
    return entries.map(({ hash: _, ...entry }, index) => {
      const body = { ...entry, seq: index + 1, previous };
      previous = createHash("sha256").update(canonical(body)).digest("hex");
      return { ...body, hash: previous };
    });
  };

  test("accepts the whole log, however its lines are spelled", async () => {
    const count = linesOf(log).length;
    assert.equal(await run(), `0 ok ${count}`);
    const respelled = linesOf(log).map(({ hash, ...entry }) => `{"hash":"${hash}", ${JSON.stringify(entry).slice(1)}`);
    assert.equal(await run({ data: `${respelled.join("\n")}\n` }), `0 ok ${count}`);
  });

  for (const [what, change, expected] of /** @type {[string, (log: any) => any, RegExp][]} */ ([
    [
      "a changed reason",
      (log) => void Object.assign(log.find(({ detail }) => detail.reason).detail, { reason: "Nothing" }),
      /was changed/,
    ],
    [
      "a changed actor",
      (log) => void Object.assign(log[4], { actor: "wafl_admin_000000000000" }),
      /entry 5 was changed/,
    ],
    [
      "a changed instant",
      (log) => void Object.assign(log[4], { at: "2020-01-01T00:00:00.000Z" }),
      /entry 5 was changed/,
    ],
    ["a changed hash", (log) => void Object.assign(log[4], { hash: "0".repeat(64) }), /entry 5 was changed/],
    ["a changed link", (log) => void Object.assign(log[4], { previous: log[0].hash }), /entry 5 was changed/],
    ["an additional field", (log) => void Object.assign(log[4], { note: "x" }), /does not have the fields/],
    ["a missing field", (log) => void delete log[4].detail, /does not have the fields/],
    ["a deleted entry", (log) => void log.splice(4, 1), /entry 5 is missing/],
    ["a deleted first entry", (log) => void log.splice(0, 1), /entry 1 is missing/],
    ["an inserted entry", (log) => void log.splice(4, 0, log[7]), /entry 5 is missing or out of order/],
    ["a duplicated entry", (log) => void log.splice(5, 0, log[4]), /entry 6 is missing or out of order/],
    ["two swapped entries", (log) => void log.splice(4, 2, log[5], log[4]), /entry 5 is missing or out of order/],
    [
      "an entry that was changed and hashed again",
      (log) => void log.splice(4, 1, { ...rechained([{ ...log[4], actor: "x" }])[0], seq: 5 }),
      /entry 5/,
    ],
    [
      "an entry changed in place with its hash",
      (log) => {
        const { hash: _, ...body } = { ...log[4], actor: "x" };
        log[4] = { ...body, hash: createHash("sha256").update(canonical(body)).digest("hex") };
      },
      /entry 6 does not follow/,
    ],
    ["entries cut off after the newest checkpoint", (log) => void log.splice(-1), /was cut off/],
    ["entries cut off after the pinned checkpoint", (log) => void log.splice(10), /was cut off/],
    ["an empty log", () => [], /.+/],
    [
      "a rewritten entry with correct hashes",
      (log) => rechained(log.map((entry) => (entry.seq === 5 ? { ...entry, actor: "x" } : entry))),
      /was rewritten/,
    ],
    [
      "a log without one entry and with correct hashes",
      (log) => rechained([...log.toSpliced(4, 1), log[0]]),
      /was rewritten/,
    ],
    [
      "a log with swapped entries and correct hashes",
      (log) => rechained(log.toSpliced(4, 2, log[5], log[4])),
      /was rewritten/,
    ],
  ])) {
    test(`finds ${what}`, async () => {
      const found = await run({ data: changed(change) });
      assert.match(found, /^1 /);
      assert.match(found, expected);
    });
  }

  test("finds an export that was cut off within a line, and a duplicate field", async () => {
    assert.match(await run({ data: log.slice(0, -10) }), /^1 the last line is incomplete/);
    assert.match(
      await run({ data: log.replace('{"seq":1,', '{"seq":1,"seq":1,') }),
      /^1 an entry has a duplicate field/,
    );
    assert.match(await run({ data: log.replace('{"seq":1,', '{"seq":1.0,') }), /^1 a number is not an integer/);
  });

  test("finds a replaced log under a pinned checkpoint, even if the head of the new log is signed", async () => {
    const short = rechained(linesOf(log).slice(0, 3));
    const data = `${short.map((entry) => JSON.stringify(entry)).join("\n")}\n`;
    assert.match(await run({ data, notes: [pinned] }), /^1 .*was cut off/);
    const other = rechained(linesOf(log).map((entry) => ({ ...entry, actor: "x" })));
    assert.match(
      await run({ data: `${other.map((entry) => JSON.stringify(entry)).join("\n")}\n`, notes: [pinned] }),
      /^1 .*was rewritten/,
    );
  });

  test("refuses a checkpoint that was changed or that no pinned key signed", async () => {
    const [origin, size, ...rest] = newest.split("\n");
    assert.match(
      await run({ notes: [[origin, String(Number(size) - 1), ...rest].join("\n")] }),
      /^1 a checkpoint's signature is invalid/,
    );
    assert.match(await run({ notes: [newest.replaceAll("keyward/wafl", "keyward/evil")] }), /^1 no pinned key/);
    assert.match(await run({ notes: [newest.split("\u2014")[0]] }), /^1 a note has no signatures|^1 a signature/);
    const foreign = await startGate({
      vars: { ORIGIN_LIVE: "http://127.0.0.1:1", KEYWARD_SECRET: Buffer.alloc(32, 9).toString("base64") },
    });
    try {
      await foreign.bootstrap();
      const note = (await foreign.call(`${AUDIT}/checkpoint`, { key: foreign.owner })).text;
      assert.match(await run({ notes: [note] }), /^1 no pinned key/);
    } finally {
      await foreign.stop();
    }
  });
});

// The KV service of a self-hosted deployment over SQLite, without workerd.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { KvStore } from "../../selfhost/kv.js";

const NOW = Date.parse("2026-11-27T12:00:00Z");
const HOUR = 3_600_000;

/** The storage of an object, as far as the service uses it. */
function storageOf(database) {
  const storage = {
    alarmAt: null,
    getAlarm: async () => storage.alarmAt,
    setAlarm: async (at) => (storage.alarmAt = at),
    sql: {
      exec(statement, ...values) {
        const rows = database
          .prepare(statement)
          .all(...values.map((value) => (value instanceof ArrayBuffer ? new Uint8Array(value) : value)));
        return { toArray: () => rows };
      },
    },
  };
  return storage;
}

function newStore(t) {
  t.mock.timers.enable({ apis: ["Date"], now: NOW });
  const database = new DatabaseSync(":memory:");
  const storage = storageOf(database);
  const store = new KvStore({ storage });
  const ask = (method, name, query = "", body = undefined) =>
    store.fetch(new Request(`https://kv/${encodeURIComponent(name)}?urlencoded=true${query}`, { method, body }));
  const get = async (name) => {
    const answer = await ask("GET", name);
    return answer.status === 200 ? answer.text() : answer.status;
  };
  const put = async (name, value, expiry) =>
    (await ask("PUT", name, expiry === undefined ? "" : `&expiration=${expiry}`, value)).status;
  const count = () => Number(database.prepare("SELECT count(*) AS count FROM entries").get().count);
  return { store, storage, ask, get, put, count };
}

test("the KV service returns what was put last, byte for byte, and 404 for another name", async (t) => {
  const { get, put, ask } = newStore(t);
  assert.equal(await get("key:a"), 404);
  assert.equal(await put("key:a", "first"), 200);
  assert.equal(await put("key:a", "zweitens é \u{1f510}"), 200);
  assert.equal(await put("n/ü ?&#%+", "odd"), 200);
  assert.deepEqual(
    [await get("key:a"), await get("n/ü ?&#%+"), await get("key:A")],
    ["zweitens é \u{1f510}", "odd", 404],
  );
  for (const [method, name] of [
    ["DELETE", "key:a"],
    ["GET", ""],
    ["POST", "key:a"],
  ])
    assert.equal((await ask(method, name)).status, 501, `${method} ${name}`);
});

test("a value in the KV service is gone at its expiry, and is removed by an alarm", async (t) => {
  const { store, storage, get, put, count } = newStore(t);
  const seconds = NOW / 1000;
  await put("soon", "a", seconds + 60);
  await put("later", "b", seconds + 2 * 3600);
  await put("always", "c");
  assert.equal(storage.alarmAt, NOW + HOUR, "not sooner than in an hour");
  t.mock.timers.setTime(NOW + 59_000);
  assert.equal(await get("soon"), "a");
  t.mock.timers.setTime(NOW + 60_000);
  assert.deepEqual([await get("soon"), await get("later"), await get("always")], [404, "b", "c"]);
  assert.equal(count(), 3);

  t.mock.timers.setTime(NOW + HOUR);
  storage.alarmAt = null;
  await store.alarm();
  assert.equal(count(), 2);
  assert.equal(storage.alarmAt, NOW + 2 * HOUR);
  t.mock.timers.setTime(NOW + 2 * HOUR);
  storage.alarmAt = null;
  await store.alarm();
  assert.deepEqual([count(), storage.alarmAt], [1, null], "nothing more falls due");
});

test("a malformed expiry is refused, so that no value stays for ever by mistake", async (t) => {
  const { put, count } = newStore(t);
  for (const expiry of ["", "x", "-1", "1.5", "99999999999999"]) assert.equal(await put("a", "v", expiry), 400, expiry);
  assert.equal(count(), 0);
});

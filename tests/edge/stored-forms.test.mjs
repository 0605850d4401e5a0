// docs/internals/storage.md, pinned by literals: the values in KV and SQL, and the messages between the worker and its object. A
// change of one of these needs a migration of stored data.

import assert from "node:assert/strict";
import { createHmac, hkdfSync } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { SECRETS } from "./harness/settings.mjs";
import { until } from "./harness/wait.mjs";

let origin;
let gate;
let key;
let kv;
let copy;

before(async () => {
  origin = await startOrigin();
  gate = await startGate({ vars: { ORIGIN_LIVE: origin.url } });
  await gate.bootstrap();
  key = (
    await gate.issue({
      name: "CRM sync",
      integration: "crm-sync",
      scopes: ["contacts:write", "contacts:read"],
      allowed_cidrs: ["192.0.2.0/24", "2001:db8::/32"],
      expires_in_days: 30,
    })
  ).json.key;
  kv = await gate.kv();
  copy = await until("the copy is in KV", () => kv.get(`key:${key.id}`));
});

after(async () => {
  await gate?.stop();
  await origin?.close();
});

const derived = (info) => Buffer.from(hkdfSync("sha256", Buffer.from(SECRETS.KEYWARD_SECRET, "base64"), "", info, 32));
const GENERATION = derived("keyward/generation/v1").subarray(0, 4).toString("hex");
const expiresAt = () => Date.parse(key.expires_at);
const pinned = (text) =>
  text
    .replaceAll(/(\\?)"(mac|key_hash)\\?":\\?"[0-9a-f]{64}\\?"/g, '$1"$2$1":$1"<64 hex>$1"')
    .replaceAll(/"epoch":"\d{13}-[0-9A-Za-z]{16}"/g, '"epoch":"<epoch>"')
    .replaceAll(/"head":"[0-9a-f]{16}"/g, '"head":"<16 hex>"');

const record = (id, revision, revoked) =>
  `{"id":"${id}","key_hash":"<64 hex>","minted_under":"${GENERATION}","integration":"crm-sync","scopes":["contacts:write","contacts:read"],"allowed_cidrs":["192.0.2.0/24","2001:db8::/32"],"expires_at":${expiresAt()},"retiring":false,"revoked":${revoked},"revision":${revision}}`;

describe("KV", () => {
  test("holds one record for each key, under its id, and drops it a day after the key's end", async () => {
    const { keys } = await kv.list();
    assert.deepEqual(
      keys.map(({ name, expiration, metadata }) => ({ name, expiration, metadata })),
      [{ name: `key:${key.id}`, expiration: Math.floor(expiresAt() / 1_000) + 86_400, metadata: undefined }],
    );
  });

  test("the record has this form", () => {
    assert.equal(
      pinned(copy),
      `{"sealed_under":"${GENERATION}","mac":"<64 hex>","sealed":{"epoch":"<epoch>","record":${record(key.id, 2, false)}}}`,
    );
  });

  test("its MAC is HMAC-SHA-256 over domain, name and the record's own bytes", () => {
    const bytes = copy.slice(copy.indexOf('"sealed":') + '"sealed":'.length, -1);
    const mac = createHmac("sha256", derived("keyward/record-mac/v1"))
      .update(`keyward/record/v2\nkey:${key.id}\n${bytes}`)
      .digest("hex");
    assert.equal(JSON.parse(copy).mac, mac);
  });

  test("its key hash is HMAC-SHA-256 of the key's text up to the secret, and the secret itself is stored nowhere", async () => {
    const { apiKey, id } = await gate.newKey();
    const stored = JSON.parse(await until("the copy is in KV", () => kv.get(`key:${id}`)));
    const hash = createHmac("sha256", derived("keyward/pepper/v1")).update(apiKey.slice(0, -14)).digest("hex");
    assert.equal(stored.sealed.record.key_hash, hash);
  });
});

describe("SQL", () => {
  test("the schema has these tables, triggers and indexes", () => {
    const names = gate.sql(
      "SELECT type || ' ' || name AS name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\' ORDER BY 1",
    );
    assert.deepEqual(
      names.map(({ name }) => name),
      [
        "index audit_by_action",
        "index audit_by_actor",
        "index audit_by_subject",
        "index claims_open",
        "index claims_open_by_end",
        "index exposures_by_kind",
        "index exposures_by_subject",
        "index idempotency_by_age",
        "index incidents_by_environments",
        "index keys_by_end",
        "index keys_by_idle_check",
        "index keys_by_quarantine_end",
        "index keys_by_revision",
        "index keys_changed",
        "index keys_current_by_integration",
        "index keys_current_by_name",
        "index keys_ending",
        "index keys_listed",
        "index keys_listed_by_integration",
        "index keys_listed_by_integration_and_owner",
        "index keys_listed_by_owner",
        "index keys_of_environment",
        "index keys_of_environment_sorted_by_end",
        "index keys_of_environment_sorted_by_name",
        "index keys_of_environment_sorted_by_use",
        "index keys_quarantined_by_end",
        "index keys_sorted_by_end",
        "index keys_sorted_by_name",
        "index keys_sorted_by_use",
        "index leak_items_by_key",
        "index members_by_email",
        "index outbox_by_revision",
        "index sessions_by_end",
        "index sessions_by_member",
        "table audit",
        "table claims",
        "table counters",
        "table endpoints",
        "table events",
        "table exposures",
        "table idempotency",
        "table idle_keys",
        "table incident_keys",
        "table incidents",
        "table key_uses",
        "table keys",
        "table leak_items",
        "table leaks",
        "table members",
        "table meta",
        "table outbox",
        "table pending_reports",
        "table sessions",
        "table usage_shards",
        "trigger audit_is_never_deleted",
        "trigger audit_is_never_updated",
      ],
    );
  });

  test("the row of a key has this form", () => {
    const [row] = gate.sql("SELECT * FROM keys WHERE id = ?", key.id);
    assert.match(row.key_hash, /^[0-9a-f]{64}$/);
    assert.deepEqual(row, {
      position: 2,
      id: key.id,
      key_hash: row.key_hash,
      minted_under: GENERATION,
      name: "CRM sync",
      integration: "crm-sync",
      environment: "live",
      purpose: "Nightly contact sync to the CRM",
      owner: "ops@acme.example",
      scopes: '["contacts:write","contacts:read"]',
      allowed_cidrs: '["192.0.2.0/24","2001:db8::/32"]',
      state: "active",
      created_at: Date.parse(key.created_at),
      created_by: key.created_by,
      expires_at: expiresAt(),
      latest_end: expiresAt(),
      own_end: null,
      rotated_from: null,
      successor: null,
      revoked_at: null,
      revoked_by: null,
      revoke_reason: null,
      first_used_at: null,
      last_used_at: null,
      last_used_from: null,
      exposed_at: null,
      exposure_dismissed_at: null,
      quarantine_ends_at: null,
      idle_check_at: null,
      limits: null,
      limit_group: null,
      limit_revision: null,
      limits_reached: null,
      revision: 2,
    });
  });

  test("the row of a member has this form", () => {
    const [row] = gate.sql("SELECT * FROM members");
    assert.deepEqual(
      {
        ...row,
        key_hash: row.key_hash.replace(/^[0-9a-f]{64}$/, "<64 hex>"),
        created_at: row.expires_at - row.created_at,
        expires_at: 0,
      },
      {
        position: 1,
        id: key.created_by,
        key_hash: "<64 hex>",
        minted_under: GENERATION,
        name: "Olive Owner",
        email: "olive@acme.example",
        role: "owner",
        environments: null,
        created_at: 365 * 86_400_000,
        created_by: "bootstrap",
        expires_at: 0,
        life_days: 365,
        revoked_at: null,
        previous_hash: null,
        previous_until: null,
        email_by_limited: 0,
        revision: 1,
      },
    );
  });

  test("the metadata of the authority has this form", () => {
    // The watermarks of notices depend on the time of the first start.
    const rows = gate.sql("SELECT name, value FROM meta WHERE name NOT LIKE 'notice%' ORDER BY name");
    const notices = gate.sql("SELECT value FROM meta WHERE name LIKE 'notice%' ORDER BY name");
    assert.equal(notices.length, 4);
    for (const { value } of notices) assert.match(value, /^\d{13}:0$/);
    assert.match(rows[0].value, /^\d{13}-[0-9A-Za-z]{16}$/);
    assert.deepEqual(
      rows.map(({ name, value }) => (name === "epoch" ? name : `${name} ${value}`)),
      [
        "epoch",
        "idle_days 90",
        `revision ${rows[2].value}`,
        "revoke_idle_days 0",
        "schema 20",
        "schema_oldest 19",
        `sealed_under ${GENERATION}`,
      ],
    );
  });
});

describe("the object's messages", () => {
  const ask = async (message) => {
    const namespace = await gate.namespace();
    const response = await namespace
      .getByName("registry")
      .fetch("https://registry/", { method: "POST", body: message });
    return `${response.status} ${pinned(await response.text())}`;
  };
  const control = (operation, command) =>
    `{"control":{"caller":"bootstrap","request":{"request_id":"r","client_address":null},"operation":"${operation}","writes":false,"command":${command}}}`;

  /** The authority's current position. */
  const here = async () =>
    `{"epoch":"<epoch>","revision":${gate.sql("SELECT value FROM meta WHERE name = 'revision'")[0].value},"head":"<16 hex>"}`;

  test("a feed query returns a snapshot, or the changes after a position", async () => {
    const at = await here();
    assert.equal(
      await ask('{"changes":{"snapshot":{"after":null}}}'),
      `200 {"changes":{"changes":{"snapshot":{"after":null,"at":${at},"entries":"","next":null}},"restored":false}}`,
    );
    const [{ value: epoch }] = gate.sql("SELECT value FROM meta WHERE name = 'epoch'");
    const [{ hash }] = gate.sql("SELECT hash FROM audit WHERE seq = 1");
    const since = `{"epoch":"${epoch}","revision":1,"head":"${hash.slice(0, 16)}"}`;
    const entries = gate
      .sql("SELECT id, revision FROM keys ORDER BY revision")
      .map(({ id, revision }) => `l${id.slice(-12)}${revision},`)
      .join("");
    assert.equal(
      await ask(`{"changes":{"since":${since}}}`),
      `200 {"changes":{"changes":{"since":{"after":0,"to":${at},"entries":"${entries}","more":false}},"restored":false}}`,
    );
  });

  test("a lookup returns each key with the text of its record, or null for an unknown key", async () => {
    const text = JSON.stringify(record(key.id, 2, false));
    const known = `{"id":"${key.id}","record":${text}}`;
    const unknown = '{"id":"wafl_live_000000000000","record":null}';
    assert.equal(
      await ask(`{"lookup":{"ids":["${key.id}","wafl_live_000000000000"]}}`),
      `200 {"records":{"records":[${known},${unknown}],"at":${await here()}}}`,
    );
  });

  test("a refused operation has this form", async () => {
    assert.equal(
      await ask(control("me", "{}")),
      '200 {"refused":{"unauthenticated":{"reason":"the bootstrap token is no member\'s credential","is_final":false}}}',
    );
    assert.equal(await ask(control("bootstrap", "null")), '200 {"refused":"already_bootstrapped"}');
  });

  test("an unknown field of a newer version is ignored", async () => {
    assert.equal(await ask('{"lookup":{"ids":[],"more":1}}'), `200 {"records":{"records":[],"at":${await here()}}}`);
  });

  test("an invalid message is refused and changes nothing", async () => {
    for (const message of ["", "{}", '{"lookup":{}}', '{"lookup":{"ids":["x"]}}', '{"drop":{}}', "x".repeat(100_000)]) {
      assert.match(await ask(message), /^400 /);
    }
  });
});

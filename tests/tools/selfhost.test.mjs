// The parts of a self-hosted deployment that need no runtime: the client's address, the settings of `start`, the release.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { clientOf, frontOf, networkOf, socketOf } from "../../selfhost/front.js";
import { ROOT } from "../../tools/paths.mjs";
import { assemble, configuration, workerSettings } from "../../tools/selfhost.mjs";

const TRUSTED = "192.0.2.0/24, 2001:db8::/32,127.0.0.1";
const front = (settings = {}) => frontOf({ CONTROL_HOST: "keys.example.com", ...settings });
const client = (peer, header, settings = /** @type {object} */ ({ TRUSTED_PROXIES: TRUSTED })) =>
  clientOf(peer, new Headers(header === undefined ? {} : { "x-forwarded-for": header }), front(settings));

describe("the client's address", () => {
  test("is the connection's, whatever a header says, unless the connection is a trusted proxy's", () => {
    for (const [peer, address] of [
      ["198.51.100.7:4711", "198.51.100.7"],
      ["192.0.3.1:4711", "192.0.3.1"],
      ["127.0.0.2:1", "127.0.0.2"],
      ["[2001:db9::1]:80", "2001:db9:0:0:0:0:0:1"],
      ["[::ffff:198.51.100.7]:1", "198.51.100.7"],
    ])
      assert.deepEqual(client(peer, "203.0.113.9"), { address, isProxied: false }, peer);
    assert.deepEqual(client("192.0.2.1:4711", "203.0.113.9", {}), { address: "192.0.2.1", isProxied: false });
  });

  test("is the last one in the header that no trusted proxy has, so a client cannot choose it", () => {
    for (const [header, address] of [
      ["203.0.113.9", "203.0.113.9"],
      ["10.0.0.1, 203.0.113.9", "203.0.113.9"],
      ["203.0.113.9, 192.0.2.44", "203.0.113.9"],
      ["1.2.3.4,203.0.113.9 ,\t2001:db8:1::7, 192.0.2.44", "203.0.113.9"],
      ["garbage, 203.0.113.9", "203.0.113.9"],
      ["203.0.113.9:50123", "203.0.113.9"],
      ["[2001:db9::1]:50123", "2001:db9:0:0:0:0:0:1"],
      ["2001:DB9::1", "2001:db9:0:0:0:0:0:1"],
      ["::ffff:203.0.113.9", "203.0.113.9"],
      ["192.0.2.7, 192.0.2.8", "192.0.2.7"],
    ])
      for (const peer of ["192.0.2.1:4711", "[2001:db8::5]:4711", "[::ffff:127.0.0.1]:4711"])
        assert.deepEqual(client(peer, header), { address, isProxied: true }, `${header} from ${peer}`);
  });

  test("is unknown if a trusted proxy does not name it, and never the proxy's own", () => {
    for (const header of [
      undefined,
      "",
      "unknown",
      "203.0.113.9, garbage",
      "203.0.113.9, ",
      "1.2.3",
      "1.2.3.4.5",
      "01.2.3.4",
      "1.2.3.256",
      "0x1.2.3.4",
      "1.2.3.4/32",
      "fe80::1%eth0",
      "[::1",
      "::1::",
      "12345::",
      ":",
      "for=203.0.113.9",
    ])
      assert.deepEqual(client("192.0.2.1:4711", header), { address: null, isProxied: true }, header);
    for (const peer of [undefined, "", "unix", "1.2.3.4.5:6"])
      assert.deepEqual(client(peer, "203.0.113.9"), { address: null, isProxied: false });
  });

  test("is in the header that CLIENT_IP_HEADER names", () => {
    const settings = front({ TRUSTED_PROXIES: "10.0.0.0/8", CLIENT_IP_HEADER: "X-Real-IP" });
    const headers = new Headers({ "x-real-ip": "203.0.113.9", "x-forwarded-for": "1.2.3.4" });
    assert.equal(clientOf("10.1.2.3:4", headers, settings).address, "203.0.113.9");
  });
});

test("a network has no bits after its length, and a wrong setting is named", () => {
  for (const text of ["0.0.0.0/0", "10.0.0.0/8", "192.0.2.128/25", "192.0.2.7/32", "::/0", "2001:db8::/33", "::1"])
    assert.notEqual(networkOf(text), null, text);
  for (const text of [
    "10.0.0.1/8",
    "192.0.2.1/25",
    "10.0.0.0/33",
    "10.0.0.0/08",
    "10.0.0.0/",
    "10/8",
    "2001:db8::1/32",
    "x",
  ])
    assert.equal(networkOf(text), null, text);
  assert.equal(front({ TRUSTED_PROXIES: "10.0.0.1/8" }).problem.variable, "TRUSTED_PROXIES");
  assert.equal(front({ CLIENT_IP_HEADER: "X Real" }).problem.variable, "CLIENT_IP_HEADER");
  assert.equal(front({ CONTROL_HOST: "a b" }).problem.variable, "CONTROL_HOST");
  assert.equal(front({ TRUSTED_PROXIES: TRUSTED }).problem, undefined);
});

test("each host is served at one socket, and CONTROL_HOST in another spelling at none", () => {
  const rows = /** @type {[string, string, "gate" | "control" | "none"][]} */ ([
    ["https://keys.example.com/", "keys.example.com", "control"],
    ["http://KEYS.Example.COM/x", "keys.example.com", "control"],
    ["https://keys.example.com:9000/", "keys.example.com", "control"],
    ["http://keys.example.com?a", "Keys.example.com", "control"],
    ["http://keys.example.com.:80/", "keys.example.com", "none"],
    ["http://%6Beys.example.com/", "keys.example.com", "none"],
    ["http://a@keys.example.com/", "keys.example.com", "none"],
    ["https://api.example.com/keys.example.com", "keys.example.com", "gate"],
    ["http://127.0.0.1:8788/", "localhost:8788", "control"],
    ["http://127.0.0.1:08788/", "localhost:8788", "control"],
    ["http://[::1]:8788/", "LOCALHOST:8788", "control"],
    ["http://127.1:8788/", "localhost:8788", "none"],
    ["http://127.1:8788/", "127.0.0.1:8788", "none"],
    ["http://0x7f.0.0.1:8788/", "127.0.0.1:8788", "none"],
    ["http://2130706433:8788/", "127.0.0.1:8788", "none"],
    ["http://[0:0::1]:8788/", "localhost:8788", "none"],
    ["http://[0:0::1]:8788/", "[::1]:8788", "none"],
    ["http://127.1:8787/", "localhost:8788", "gate"],
    ["http://localhost:8787/", "localhost:8788", "gate"],
    ["http://[/", "keys.example.com", "gate"],
    ["http://1.2.3.999/", "keys.example.com", "gate"],
  ]);
  for (const [url, host, socket] of rows) assert.equal(socketOf(url, host), socket, `${url} ${host}`);
});

test("CONTROL_HOST is a host in the spelling in which the worker compares it", () => {
  for (const CONTROL_HOST of ["localhost:8788", "KEYS.example.com", "127.0.0.1:8788", "[::1]:8788"])
    assert.equal(front({ CONTROL_HOST }).problem, undefined, CONTROL_HOST);
  for (const CONTROL_HOST of [
    "",
    "127.1:8788",
    "[0::1]:8788",
    "a/b",
    "a@keys.example.com",
    "%6Beys.example.com",
    "a b",
  ])
    assert.equal(front({ CONTROL_HOST }).problem?.variable, "CONTROL_HOST", CONTROL_HOST);
});

/** A folder with `start` and a runtime that shows its environment and arguments, and what a call of `start` did. */
function startIn(t, { settings, files = {}, env = {} }) {
  const folder = mkdtempSync(join(tmpdir(), "keyward-start-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  copyFileSync(join(ROOT, "selfhost", "start"), join(folder, "start"));
  writeFileSync(join(folder, "config.capnp"), configuration());
  writeFileSync(join(folder, "workerd"), '#!/bin/sh\nenv\nfor argument; do echo "argument $argument"; done\n');
  for (const name of ["start", "workerd"]) chmodSync(join(folder, name), 0o755);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  writeFileSync(join(folder, "settings"), settings);
  const { status, stdout, stderr } = spawnSync("./start", ["settings"], {
    cwd: folder,
    env: { PATH: process.env.PATH, ...env },
    encoding: "utf8",
  });
  const lines = stdout.split("\n");
  return { status, stderr, lines, folder, has: (line) => lines.includes(line) };
}

describe("start", () => {
  test("hands every value to the environment as written, and none to an argument", (t) => {
    const routes = '[{"match": "GET /v1/*",\n  "scope": "a:b"}]\n';
    const settings = [
      "# a comment",
      "",
      "KEYWARD_SECRET_FILE=secret",
      "ROUTES_FILE=routes.json",
      "BOOTSTRAP_TOKEN=a b \"$HOME\" \\ 'c' `id` =x",
      "CONTROL_HOST=keys.example.com",
      "ORIGIN_LIVE=http://10.0.0.1:3000",
      "LISTEN_GATE=10.0.0.2:80",
      "KEYWARD_DATA=elsewhere",
      "TRUSTED_PROXIES=127.0.0.1,::1",
      "SSL_CERT_FILE=ca.pem",
    ].join("\n");
    const files = { secret: "c2VjcmV0\n", "routes.json": routes };
    const env = { ORIGIN_LIVE: "http://10.0.0.9:3000", LISTEN_CONTROL: "[::1]:81" };
    const ran = startIn(t, { settings, files, env });
    assert.deepEqual([ran.status, ran.stderr], [0, ""]);
    for (const line of [
      "KEYWARD_SECRET=c2VjcmV0",
      "BOOTSTRAP_TOKEN=a b \"$HOME\" \\ 'c' `id` =x",
      "CONTROL_HOST=keys.example.com",
      "ORIGIN_LIVE=http://10.0.0.9:3000",
      "TRUSTED_PROXIES=127.0.0.1,::1",
      "SSL_CERT_FILE=ca.pem",
      '  "scope": "a:b"}]',
      "argument --socket-addr=gate=10.0.0.2:80",
      "argument --socket-addr=control=[::1]:81",
      "argument --directory-path=data=elsewhere/objects",
    ])
      assert.ok(ran.has(line), `${line}\n${ran.lines.join("\n")}`);
    const passed = ran.lines.filter((line) => line.startsWith("argument "));
    assert.equal(passed.length, 6);
    assert.ok(!passed.some((line) => line.includes("c2VjcmV0") || line.includes("a b")));
  });

  test("refuses settings that nobody reads, and says where they are", (t) => {
    const host = "CONTROL_HOST=keys.example.com";
    for (const [settings, message] of [
      [`${host}\nCONTROL_HOTS=x`, "settings, line 2: there is no setting CONTROL_HOTS."],
      [`${host}\nKEY_PREFIX ORIGIN_LIVE=x`, "settings, line 2: a name has capital letters and _ only."],
      [`${host}\nexport KEY_PREFIX=x`, "settings, line 2: a name has capital letters and _ only."],
      [`${host}\nLISTEN_GATE_FILE=x`, "settings, line 2: there is no setting LISTEN_GATE_FILE."],
      [`${host}\nKEY_PREFIX`, "settings, line 2: a line is NAME=value, or begins with #."],
      ["KEY_PREFIX=wafl", "CONTROL_HOST is not set."],
      [
        `${host}\nKEYWARD_SECRET=x\nKEYWARD_SECRET_FILE=settings`,
        "KEYWARD_SECRET and KEYWARD_SECRET_FILE are both set.",
      ],
      [`${host}\nKEYWARD_SECRET_FILE=none`, "KEYWARD_SECRET_FILE: none cannot be read."],
    ]) {
      const { status, stderr, lines } = startIn(t, { settings });
      assert.equal(status, 78, settings);
      assert.ok(stderr.includes(message), stderr);
      assert.deepEqual(lines, [""]);
    }
  });

  test("makes a data folder that nobody else can read, and refuses one in use", (t) => {
    const { folder } = startIn(t, { settings: "CONTROL_HOST=keys.example.com" });
    const mode = spawnSync("stat", ["-c", "%a", join(folder, "data"), join(folder, "data", "objects")], {
      encoding: "utf8",
    });
    assert.equal(mode.stdout, "700\n700\n");
    const held = spawnSync("flock", ["-n", join(folder, "data", "lock"), "./start", "settings"], {
      cwd: folder,
      encoding: "utf8",
    });
    assert.equal(held.status, 78);
    assert.match(held.stderr, /data is in use by process \d+/);
  });
});

describe("a release", () => {
  test("binds every setting of the worker, by its name", () => {
    const page = readFileSync(join(ROOT, "docs", "reference", "configuration.md"), "utf8");
    const documented = [...page.matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, name]) => name);
    assert.deepEqual(workerSettings().sort(), documented.sort());
    for (const name of documented)
      assert.ok(configuration().includes(`(name = "${name}", fromEnvironment = "${name}"),`));
  });

  test("replaces the files of an earlier one, and leaves data and settings alone", (t) => {
    const out = mkdtempSync(join(tmpdir(), "keyward-release-"));
    const folder = mkdtempSync(join(tmpdir(), "keyward-build-"));
    t.after(() => {
      for (const path of [out, folder]) rmSync(path, { recursive: true, force: true });
    });
    for (const name of ["index.js", "index_bg.wasm", "workerd"]) writeFileSync(join(folder, name), "first");
    const runtime = join(folder, "workerd");
    assemble(out, { folder, runtime });
    for (const [name, content] of [
      ["settings", "mine"],
      ["worker/old.js", "old"],
    ])
      writeFileSync(join(out, name), content);
    mkdirSync(join(out, "data"));
    const listed = JSON.parse(readFileSync(join(out, "release.json"), "utf8"));
    writeFileSync(join(out, "release.json"), JSON.stringify({ ...listed, files: [...listed.files, "worker/old.js"] }));

    writeFileSync(join(folder, "index.js"), "second");
    assemble(out, { folder, runtime });
    assert.equal(readFileSync(join(out, "worker", "index.js"), "utf8"), "second");
    assert.equal(readFileSync(join(out, "settings"), "utf8"), "mine");
    assert.ok(existsSync(join(out, "data")));
    assert.ok(!existsSync(join(out, "worker", "old.js")));
    const checked = spawnSync("sha256sum", ["--quiet", "-c", "SHA256SUMS"], { cwd: out, encoding: "utf8" });
    assert.deepEqual([checked.status, checked.stdout], [0, ""], checked.stderr);
  });

  test("is in the image with everything that runs, and with nothing else of its folder", (t) => {
    const out = mkdtempSync(join(tmpdir(), "keyward-release-"));
    t.after(() => rmSync(out, { recursive: true, force: true }));
    for (const name of ["index.js", "index_bg.wasm", "workerd"]) writeFileSync(join(out, name), "");
    const { files } = assemble(join(out, "release"), { folder: out, runtime: join(out, "workerd") });
    const lines = readFileSync(join(ROOT, "selfhost", "Containerfile"), "utf8").matchAll(/^COPY (.*) \S+$/gm);
    const copied = [...lines].flatMap(([, names]) => names.split(" "));
    assert.ok(!copied.includes("."));
    const forPeople = /^(README\.md|Containerfile|nginx\.conf|keyward\.service|(settings|routes)\.example.*)$/;
    for (const name of files.filter((name) => !forPeople.test(name)))
      assert.ok(
        copied.some((copy) => name === copy || name.startsWith(`${copy}/`)),
        name,
      );
  });

  test("goes into no folder with other files", (t) => {
    const out = mkdtempSync(join(tmpdir(), "keyward-release-"));
    t.after(() => rmSync(out, { recursive: true, force: true }));
    writeFileSync(join(out, "letter.txt"), "mine");
    assert.throws(() => assemble(out), /has other files/);
  });
});

test("every example of AUTHORITY_EPOCH is a text that the worker accepts", () => {
  const files = ["wrangler.toml", "selfhost/settings.example", "docs/operations/self-hosting.md"];
  for (const file of files) {
    const [, value] = /AUTHORITY_EPOCH ?= ?["']?([^"'\n]+)/.exec(readFileSync(join(ROOT, file), "utf8")) ?? [];
    assert.match(value, /^[!-~]{1,64}$/, file);
  }
});

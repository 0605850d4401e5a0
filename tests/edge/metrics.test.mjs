// Metrics of a running deployment: the classic form by promtool, OpenMetrics by a real Prometheus that scrapes, and the files of
// examples/prometheus. Debian's package `prometheus` has both programs; without them those tests are skipped with a message.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { wrongTag } from "./harness/keys.mjs";
import { findProgram, freePort, skipLoudly, startProgram } from "./harness/programs.mjs";
import { ROOT } from "./harness/settings.mjs";
import { until } from "./harness/wait.mjs";

const TOKEN = "a-metrics-token-of-the-edge-test";
const EXAMPLES = join(ROOT, "examples", "prometheus");
const INSTALL = "Install it (Debian: apt-get install prometheus) and run this file again.";
const promtool = findProgram("promtool");
const prometheus = findProgram("prometheus");
const withoutPromtool = promtool ? false : skipLoudly("metrics with promtool", INSTALL);
const withoutPrometheus = prometheus ? false : skipLoudly("a scrape by Prometheus", INSTALL);

let origin;
let gate;
let state;
let key;

before(async () => {
  origin = await startOrigin();
  state = mkdtempSync(join(tmpdir(), "keyward-metrics-"));
  gate = await startGate({
    state,
    vars: { ORIGIN_LIVE: origin.url, REVOCATION_BOUND_SECONDS: 1, METRICS_TOKEN: TOKEN },
  });
  await gate.bootstrap();
  key = await gate.newKey({ scopes: ["contacts:read"] });
  for (let number = 0; number < 20; number += 1) {
    assert.equal((await gate.call("/v1/contacts", { key: key.apiKey })).status, 200);
    assert.equal((await gate.call("/v1/contacts", { key: wrongTag(key.apiKey) })).status, 401);
  }
});

after(async () => {
  await gate?.stop();
  await origin?.close();
  rmSync(state, { recursive: true, force: true });
});

/** Returns the metrics in the classic form, or in the one that is accepted. */
async function scrape(accept) {
  const { status, text, headers } = await gate.call("/_keyward/metrics", {
    key: TOKEN,
    headers: accept ? { accept } : {},
  });
  assert.equal(status, 200, text);
  return { text, type: headers["content-type"] };
}

/** Returns the value of a series; 0 if it is not there. */
const value = (text, series) =>
  Number(
    text
      .split("\n")
      .find((line) => line.startsWith(`${series} `))
      ?.slice(series.length + 1) ?? 0,
  );

/** Waits until the reports of all requests have arrived: half a minute at most, as the guide says within 120 seconds. */
async function complete() {
  let text = "";
  await until(
    "20 refusals are counted",
    async () => {
      ({ text } = await scrape());
      return value(text, 'keyward_refusals_total{code="invalid_key"}') >= 20;
    },
    { within: 60_000, every: 500 },
  );
  return text;
}

const requestsOf = (text) =>
  text
    .split("\n")
    .filter((line) => line.startsWith('keyward_requests_total{decision="allowed"'))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);

test("requests, refusals and lookups are counted exactly, and no series names a key", async () => {
  const text = await complete();
  assert.equal(requestsOf(text), 20, text);
  assert.equal(value(text, 'keyward_refusals_total{code="invalid_key"}'), 20);
  const found = ["memory", "kv", "authority"].map((from) => value(text, `keyward_lookups_total{from="${from}"}`));
  assert.equal(
    found.reduce((sum, count) => sum + count, 0),
    20,
    `each request needed the record once: ${found}`,
  );
  assert.equal(value(text, 'keyward_keys{status="active",environment="live"}'), 1);
  assert.match(text, /keyward_authority_age_seconds\{location="[\w-]+"\} \d/);
  assert.ok(!text.includes("wafl_"), "no key and no member");
});

test("the token reads the metrics and nothing else, and a manager does not read them", async () => {
  assert.equal((await gate.call("/_keyward/v1/keys", { key: TOKEN })).verdict, "401 invalid_key");
  assert.equal((await gate.call("/_keyward/metrics", { key: key.apiKey })).verdict, "401 invalid_key");
  assert.equal((await gate.call("/_keyward/metrics")).verdict, "401 missing_key");
  assert.equal((await gate.call("/_keyward/metrics", { key: gate.owner })).status, 200);
});

test("a revocation is in the histogram of its time to take effect", async () => {
  const other = await gate.newKey({ scopes: ["contacts:read"] });
  assert.equal((await gate.call("/v1/contacts", { key: other.apiKey })).status, 200);
  await gate.revoke(other.id);
  await until("the revocation", async () => (await gate.call("/v1/contacts", { key: other.apiKey })).status === 401, {
    within: 8_000,
    every: 250,
  });
  await until(
    "the histogram has it",
    async () => value((await scrape()).text, "keyward_revocation_effective_seconds_count") >= 1,
    { within: 60_000, every: 500 },
  );
});

test("counters survive a restart of workerd", async () => {
  const before = await complete();
  await gate.restart();
  const { text } = await scrape();
  for (const line of before.split("\n").filter((line) => /^keyward_(requests|refusals)_total/.test(line))) {
    const series = line.slice(0, line.lastIndexOf(" "));
    assert.ok(value(text, series) >= value(before, series), `${line} was reset`);
  }
});

test("promtool accepts the classic form", { skip: withoutPromtool }, async () => {
  const { text, type } = await scrape();
  assert.equal(type, "text/plain; version=0.0.4; charset=utf-8");
  execFileSync(promtool, ["check", "metrics"], { input: text, stdio: ["pipe", "pipe", "pipe"] });
});

test("promtool accepts the alert rules and the configuration of examples/prometheus", { skip: withoutPromtool }, () => {
  execFileSync(promtool, ["check", "rules", join(EXAMPLES, "keyward.rules.yml")], { stdio: "pipe" });
  execFileSync(promtool, ["check", "config", "--syntax-only", join(EXAMPLES, "prometheus.yml")], { stdio: "pipe" });
});

test("every metric of the dashboard and of the rules is one that the deployment has", async () => {
  const { text } = await scrape();
  const known = new Set(text.match(/^# TYPE (\w+)/gm)?.map((line) => line.split(" ")[2]));
  const files = ["dashboard.json", "keyward.rules.yml"].map((name) => readFileSync(join(EXAMPLES, name), "utf8"));
  const named = files.join("\n").match(/keyward_[a-z_]+[a-z]/g) ?? [];
  assert.ok(named.length > 20);
  for (const name of named.filter((name) => name !== "keyward_metrics")) {
    assert.ok(known.has(name.replace(/_(bucket|count|sum)$/, "")), `${name} is no metric`);
  }
});

test("a real Prometheus scrapes the deployment, in OpenMetrics", { skip: withoutPrometheus }, async () => {
  await complete();
  const accepted = await scrape("application/openmetrics-text; version=1.0.0");
  assert.equal(accepted.type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
  assert.ok(accepted.text.endsWith("# EOF\n"));
  const port = await freePort();
  const program = await startProgram(
    prometheus,
    port,
    (folder) => {
      const config = readFileSync(join(EXAMPLES, "prometheus.yml"), "utf8")
        .replaceAll("60s", "1s")
        .replace("scheme: https", "scheme: http")
        .replace("keys.example.com", new URL(gate.url).host);
      writeFileSync(join(folder, "prometheus.yml"), config);
      writeFileSync(join(folder, "keyward-metrics-token"), TOKEN);
      writeFileSync(join(folder, "keyward.rules.yml"), readFileSync(join(EXAMPLES, "keyward.rules.yml")));
      return [
        `--config.file=${join(folder, "prometheus.yml")}`,
        `--storage.tsdb.path=${join(folder, "data")}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ];
    },
    { within: 30_000 },
  );
  try {
    const query = async (text) => {
      const url = `${program.url}/api/v1/query?query=${encodeURIComponent(text)}`;
      const answer = await fetch(url);
      // Prometheus answers 503 until it is ready.
      return answer.ok ? ((await answer.json()).data?.result ?? []) : [];
    };
    await until("the scrape", async () => (await query('up{job="keyward"}'))[0]?.value[1] === "1", { within: 20_000 });
    const [sum] = await query('sum(keyward_requests_total{decision="allowed"})');
    assert.ok(Number(sum.value[1]) >= 20, JSON.stringify(sum));
    assert.equal((await query("keyward_revocation_effective_seconds_bucket")).length, 8);
    assert.equal((await query("keyward_build_info")).length, 1);
    const { data } = await (await fetch(`${program.url}/api/v1/rules`)).json();
    const health = data.groups.flatMap((group) => group.rules).map((rule) => [rule.name, rule.health]);
    assert.ok(health.length >= 6 && health.every(([, state]) => state !== "err"), JSON.stringify(health));
  } finally {
    await program.stop();
  }
});

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { demoWelcome, welcome } from "../../tools/welcome.mjs";

const text = welcome({
  gate: "http://localhost:8787",
  control: "http://localhost:8789",
  devVars: "/home/o'neil/my clone/.dev.vars",
  demo: "http://127.0.0.1:8788",
});
const lines = text.split("\n").filter((line) => line.includes("curl "));

test("the five steps are printed, each on one line that a shell can parse", () => {
  assert.equal(lines.length, 5);
  for (const line of lines) execFileSync("sh", ["-n", "-c", line]);
});

test("the start says which address is which, and calls each of the two hosts for what it serves", () => {
  assert.match(text, /^Keyward is running at http:\/\/localhost:8787: the gate/m);
  assert.match(text, /^The control plane, .* is at http:\/\/localhost:8789$/m);
  assert.match(text, /^The demo origin behind it, .* is at http:\/\/127\.0\.0\.1:8788$/m);
  const [bootstrap, issue, use, revoke, again] = lines;
  for (const line of [bootstrap, issue, revoke]) assert.match(line, / http:\/\/localhost:8789\/_keyward\/v1\//);
  for (const line of [use, again]) assert.match(line, / http:\/\/localhost:8787\/v1\/contacts /);
});

test("the credential is taken out of the answer, and the key id out of the key", () => {
  const key = `wafl_live_8Fh2kQ0sZp1L_${"0".repeat(46)}`;
  const answer = `{"key":{"id":"wafl_live_8Fh2kQ0sZp1L"},"api_key":"${key}"}`;
  // The line as printed, with an answer in curl's place.
  const issue = lines[1].replace(/\$\(curl .*?\}'\);/, `'${answer}';`);
  const out = execFileSync("sh", ["-c", `${issue}; echo "$KEY \${KEY%_*}"`], { encoding: "utf8" });
  assert.equal(out, `${answer}\n${key} wafl_live_8Fh2kQ0sZp1L\n`);
});

test("the terminal shows no secret, only where it is read from", () => {
  assert.match(lines[0], /sed -n 's\/\^BOOTSTRAP_TOKEN=\/\/p' '\/home\/o'\\''neil\/my clone\/\.dev\.vars'/);
});

test("the address of the console comes first if the build has one, and the token in it is the only secret", () => {
  const settings = { gate: "http://localhost:8787", control: "http://localhost:8789", devVars: "/v", demo: null };
  assert.doesNotMatch(welcome(settings), /console/i);
  const first = welcome({ ...settings, page: "http://localhost:8789/#bootstrap=abc" });
  assert.match(first, /make the first owner[^\n]*\n\n {2}http:\/\/localhost:8789\/#bootstrap=abc\n/);
  assert.equal(first.split("abc").length, 2);
  assert.match(welcome({ ...settings, page: "http://localhost:8789/" }), /sign in:\n\n {2}http:\/\/localhost:8789\/\n/);
});

test("the demo prints a credential of each role, and where to use it", () => {
  const signIns = { owner: "wafl_admin_o", auditor: "wafl_admin_a" };
  const shown = demoWelcome({
    gate: "http://localhost:8797",
    control: "http://localhost:8799",
    signIns,
    hasConsole: true,
  });
  assert.match(shown, /Open http:\/\/localhost:8799\/ and sign in/);
  assert.match(shown, /^ {2}owner {6}wafl_admin_o$/m);
  assert.match(shown, /^ {2}auditor {4}wafl_admin_a$/m);
});

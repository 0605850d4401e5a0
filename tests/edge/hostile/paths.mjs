// docs/internals/hostile.md, "Path and host", the target. Every row carries a valid key and the routes are the widest possible, so that only the
// form of the request is a reason to refuse it.

/** Targets that must be 400 `bad_path`, by class. `workerd` marks those that the runtime refuses before the worker. */
const REFUSED = {
  "dot segments": [
    "/..",
    "/.",
    "/../",
    "/v1/../v1",
    "/v1/./x",
    "/v1/..",
    "/v1/.",
    "/v1/x/..",
    "/v1/x/../../../etc/passwd",
    "/v1/..?a=b",
  ],
  "encoded dot segments": [
    "/%2e%2e",
    "/v1/%2e%2e/x",
    "/v1/.%2e/x",
    "/v1/%2E./x",
    "/v1/%2e",
    "/v1/%2E%2E",
    "/v1/%2e%2E/%2E%2e/x",
    "/v1/x%2ejson",
  ],
  "dot segments with parameters": [
    "/v1/..;/x",
    "/v1/..;a=b/x",
    "/v1/.;/x",
    "/v1/..%3b/x",
    "/v1/..%3Bx/y",
    "/v1/..%3Bx%3bx/y",
    "/v1/..;%3Bx/y",
    "/v1/%2e%2e;/x",
    "/v1/..;%2f",
    "/v1/.;x;y",
  ],
  "double encoding": [
    "/v1/%252e%252e/x",
    "/v1/%252fx",
    "/v1/%25%32%65",
    "/v1/%255c",
    "/v1/%2541",
    "/v1/%25252e",
    "/v1/%2500",
  ],
  backslashes: ["/v1\\x", "/v1/..\\x", "/\\evil.example", "/v1/%5cx", "/v1/%5C..%5Cx"],
  "encoded slashes": ["/v1%2fx", "/v1/%2Fx", "/v1/x%2f..%2fy", "/%2f%2fevil.example", "/v1/%2f"],
  "empty segments": [
    "//",
    "//v1/contacts",
    "/v1//contacts",
    "/v1/contacts//",
    "///",
    "//evil.example/x",
    "/v1//",
    "//@evil.example",
  ],
  "encoded controls": [
    "/v1/%00",
    "/v1/%0a",
    "/v1/%0d%0aX:1",
    "/v1/%09",
    "/v1/%1f",
    "/v1/%7f",
    "/v1/%C2%80",
    "/v1/%C2%9f",
    "/v1/x%00.json",
  ],
  "what is not UTF-8": [
    "/v1/%ff",
    "/v1/%c0%ae%c0%ae/x",
    "/v1/%c0%af",
    "/v1/%e0%80%ae",
    "/v1/%C3",
    "/v1/%C3x",
    "/v1/%C3x%A9",
    "/v1/%e2%82/%ac",
    "/v1/%ed%a0%80",
    "/v1/%f5%80%80%80",
    "/v1/%80",
    "/v1/%f0%80%80%af",
  ],
  "broken escapes": ["/v1/%", "/v1/%2", "/v1/%zz", "/v1/%u002e", "/v1/%-1", "/v1/%%", "/v1/%2%65"],
  "raw bytes outside ASCII": ["/v1/\xc3\xa9", "/v1?q=\xc3\xa9", "/v1/\xe2\x80\xae"],
  "characters that no path has": ['/v1/"x"', "/v1/a|b", "/v1/^", "/v1/{x}", "/v1/[x]"],
  "escapes that nothing needs": [
    "/v1/%63ontacts",
    "/v1/%7Euser",
    "/%76%31/x",
    "/v1/contacts/%34%32",
    "/v1/a%2Db",
    "/v1/a%5fb",
  ],
  "targets that are no path": ["*"],
};

/** Targets that the runtime refuses before the worker sees them. */
const REFUSED_BY_WORKERD = [
  "\\v1",
  "/v1/\xe9",
  "/v1/\xc0\xae\xc0\xae/x",
  "/v1/<x>",
  "/v1/`",
  '/v1?q="x"',
  "/v1?q=<x>",
  "v1/x",
  "?x",
  "http:/v1/x",
  "",
  "/v1/ x",
  "/v1/\tx",
  "/v1/\0x",
  "/v1/\rx",
];

/** Valid targets, which arrive byte for byte. */
const FORWARDED = [
  "/",
  "/v1/x",
  "/v1/x/",
  "/v1/x?a=b&c=%2F..%2f&d=//",
  "/v1/%C3%A9t%C3%A9",
  "/v1/a%20b",
  "/v1/100%25",
  "/v1/100%25x",
  "/v1/a;b=c",
  "/v1/..a/...",
  "/v1/x?",
  "/v1/x??y",
  "/v1/@x:y",
  "/v1/a,b!$&'()*+=",
  "/v1/%E2%80%AE",
  "/v1/x?q=%00%ff%2e%2e",
  "/v1/x?q=[a|b]{c}^`\\",
  `/${"a".repeat(8_191)}`,
];

export function paths() {
  const rows = [];
  for (const [what, targets] of Object.entries(REFUSED)) {
    for (const target of targets)
      rows.push({ what: `${what}: ${target}`, line: `GET ${target}`, verdict: "400 bad_path" });
  }
  for (const target of REFUSED_BY_WORKERD)
    rows.push({ what: `no target: ${JSON.stringify(target)}`, line: `GET ${target}`, verdict: "400", by: "workerd" });
  // The runtime reads them as absolute-form with an unknown scheme and drops the authority. The root remains, for the routes and the origin.
  for (const target of ["x:80", "http:"])
    rows.push({
      what: `an absolute-form without a path: ${target}`,
      line: `GET ${target}`,
      verdict: "200",
      arrives: { url: "/" },
    });
  for (const target of FORWARDED)
    rows.push({
      what: `plain: ${target.slice(0, 60)}`,
      line: `GET ${target}`,
      verdict: "200",
      arrives: { url: target },
    });
  for (const target of ["/v1/%61dmin/x", "/v1/admi%6E/x", "/v1/x/../admin/x", "/v1/admin%2fx"]) {
    rows.push({
      what: `another spelling of a guarded path: ${target}`,
      line: `GET ${target}`,
      verdict: "400 bad_path",
    });
  }
  for (const target of ["/V1/admin/x", "/v1/ADMIN/x", "/v1/Admin/"]) {
    rows.push({
      what: `a guarded path in another letter case: ${target}`,
      line: `GET ${target}`,
      verdict: "404 no_route",
    });
  }
  rows.push({ what: "the guarded path itself", line: "GET /v1/admin/x", verdict: "403 insufficient_scope" });
  for (const target of [
    "/_keyward",
    "/_keyward/",
    "/_keyward/nothing",
    "/_KEYWARD/v1/keys",
    "/_Keyward/health",
    "/_keyward/v1/keys/",
  ]) {
    rows.push({
      what: `Keyward's own path is never forwarded: ${target}`,
      line: `GET ${target}`,
      verdict: "404 no_route",
    });
  }
  for (const target of [
    "/%5fkeyward/health",
    "/_keyward%2fhealth",
    "/_keyward/../v1/x",
    "/x/../_keyward/health",
    "/_keyward;x/../health",
    "/_keyward/%68ealth",
  ]) {
    rows.push({
      what: `Keyward's own path in another spelling: ${target}`,
      line: `GET ${target}`,
      verdict: "400 bad_path",
    });
  }
  rows.push(
    { what: "8,193 bytes of path", line: `GET /${"a".repeat(8_192)}`, verdict: "414 target_too_long" },
    { what: "8,193 bytes with a query", line: `GET /v1?${"a".repeat(8_189)}`, verdict: "414 target_too_long" },
    { what: "60 KB of target", line: `GET /${"a".repeat(60_000)}`, verdict: "414 target_too_long" },
    {
      what: "too long and ambiguous: the length is checked first",
      line: `GET /../${"a".repeat(9_000)}`,
      verdict: "414 target_too_long",
    },
    {
      what: "' in a query, which the runtime escapes",
      line: "GET /v1/x?q='",
      verdict: "200",
      arrives: { url: "/v1/x?q=%27" },
    },
    {
      what: "a fragment ends at the runtime",
      line: "GET /v1/x?y#z/../..",
      verdict: "200",
      arrives: { url: "/v1/x?y" },
    },
    {
      what: "a fragment does not hide a guarded path",
      line: "GET /v1/admin/x#/v1/x",
      verdict: "403 insufficient_scope",
    },
  );
  return rows;
}

// docs/internals/hostile.md, "Path and host", the Host header: it must be one plain host, and never selects the origin.

const REFUSED = [
  "a/b",
  "a/_keyward/health",
  "a?b",
  "a#b",
  "user@a",
  "user:word@a",
  "a, b",
  "a b",
  "a:x",
  "a:",
  "a:1:2",
  "a:123456",
  "[::1",
  "[]",
  "[::1]x",
  "a\\b",
  "a/../b",
  "a%2fb",
  "a\tb",
  "http://a",
  "a;b",
  "a'b",
];

export function hosts({ key }) {
  /** @type {any[]} */
  const rows = REFUSED.map((host) => ({ what: `Host: ${host}`, host, verdict: "421 wrong_host" }));
  for (const host of [
    "gate.example",
    "GATE.example:8080",
    "127.0.0.1",
    "[::1]:80",
    "[2001:db8::1]",
    "localhost",
    "a_b",
    "xn--bcher-kva.example",
    "evil.example",
  ]) {
    rows.push({
      what: `one plain host is served by the configured origin: ${host}`,
      host,
      verdict: "200",
      arrives: { url: "/v1/x" },
    });
  }
  rows.push(
    { what: "two Host headers", headers: ["Host: b"], verdict: "421 wrong_host" },
    { what: "the same Host twice", headers: ["Host: gate.example"], verdict: "421 wrong_host" },
    { what: "Host with a list of one host twice", host: "gate.example,gate.example", verdict: "421 wrong_host" },
    { what: "a Host outside ASCII", host: "\xe9", verdict: "400", by: "workerd" },
    { what: "no Host", host: null, verdict: "400", by: "workerd" },
    { what: "an empty Host", host: "", verdict: "400", by: "workerd" },
    { what: "a Host of spaces", host: "   ", verdict: "400", by: "workerd" },
    {
      what: "X-Forwarded-Host changes nothing",
      headers: ["X-Forwarded-Host: evil.example"],
      verdict: "200",
      arrives: { lacks: ["x-forwarded-host"], not: "evil" },
    },
    {
      what: "absolute-form for another host: its authority is dropped",
      line: "GET http://evil.example/v1/x",
      verdict: "200",
      arrives: { url: "/v1/x", not: "evil" },
    },
    {
      what: "absolute-form with a user",
      line: "GET http://u:p@evil.example/v1/x",
      verdict: "200",
      arrives: { url: "/v1/x", not: "evil" },
    },
    { what: "absolute-form with a dot segment", line: "GET http://evil.example/v1/../x", verdict: "400 bad_path" },
    {
      what: "absolute-form of Keyward's own path",
      line: "GET http://evil.example/_keyward/nothing",
      verdict: "404 no_route",
    },
    {
      what: "absolute-form without a path",
      line: "GET http://evil.example",
      verdict: "200",
      arrives: { url: "/", not: "evil" },
    },
    {
      what: "another scheme",
      line: "GET ftp://evil.example/v1/x",
      verdict: "200",
      arrives: { url: "/v1/x", not: "evil" },
    },
    {
      what: "HTTP/1.0 without Host",
      raw: `GET /v1/x HTTP/1.0\r\nX-API-Key: ${key}\r\n\r\n`,
      verdict: "400",
      by: "workerd",
    },
  );
  return rows;
}

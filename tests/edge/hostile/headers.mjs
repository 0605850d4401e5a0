// docs/internals/hostile.md, "Headers": headers that could forge an identity or change the route do not arrive; limits of size.

const REMOVED = [
  ..."Keyward Keyward-Key-Id Keyward-Integration Keyward-Environment Keyward-Scopes Keyward-Assertion Keyward-Anything".split(
    " ",
  ),
  ..."Proxy-Authorization Proxy-Connection Proxy-Anything HTTP2-Settings TE Trailer Keep-Alive Forwarded".split(" "),
  ..."X-Forwarded-For X-Forwarded-Host X-Forwarded-Prefix X-Forwarded-Uri X-Forwarded-Path X-Forwarded-Method X-Forwarded-Server".split(
    " ",
  ),
  ..."X-Original-URL X-Original-URI X-Original-Method X-Rewrite-URL X-HTTP-Method-Override X-HTTP-Method X-Method-Override".split(
    " ",
  ),
  ..."X-Real-IP True-Client-IP X-Client-IP Client-IP X-Cluster-Client-IP Fastly-Client-IP Forwarded-For X-Forwarded X-Original-Forwarded-For".split(
    " ",
  ),
];

const lines = (count) => Array.from({ length: count }, (_, index) => `X-${index}: 1`);

export function headers({ id }) {
  const rows = [];
  const line = "GET /v1/x";
  for (const name of REMOVED) {
    const spellings = new Set([
      name,
      name.toUpperCase(),
      name.toLowerCase(),
      name.replaceAll("-", "_"),
      name.replaceAll("-", "."),
      name.replace("-", "_").toUpperCase(),
    ]);
    rows.push({
      what: `${name}, in every spelling`,
      line,
      headers: [...spellings].map((spelling) => `${spelling}: forged`),
      verdict: "200",
      arrives: { url: "/v1/x", method: "GET", not: "forged" },
    });
  }
  // Headers that other servers take for the path or the method have no effect on routing.
  for (const name of [
    "X-Original-URL",
    "X-Original-URI",
    "X-Rewrite-URL",
    "X-Forwarded-Uri",
    "X-Forwarded-Path",
    "X-Forwarded-Prefix",
  ]) {
    rows.push(
      {
        what: `${name} does not replace a guarded path`,
        line: "GET /v1/admin/x",
        headers: [`${name}: /v1/x`],
        verdict: "403 insufficient_scope",
      },
      {
        what: `${name} does not select a guarded path`,
        line,
        headers: [`${name}: /v1/admin/x`],
        verdict: "200",
        arrives: { url: "/v1/x", not: "admin" },
      },
      {
        what: `${name} does not select Keyward's own path`,
        line,
        headers: [`${name}: /_keyward/health`],
        verdict: "200",
        arrives: { url: "/v1/x", not: "_keyward" },
      },
    );
  }
  for (const name of [
    "X-HTTP-Method-Override",
    "X-HTTP-Method",
    "X-Method-Override",
    "X-Original-Method",
    "X-Forwarded-Method",
  ]) {
    rows.push(
      {
        what: `${name} does not turn a GET into a POST`,
        line: "GET /v1/write",
        headers: [`${name}: POST`],
        verdict: "200",
        arrives: { method: "GET", not: "POST" },
      },
      {
        what: `${name} does not turn a POST into a GET`,
        line: "POST /v1/x",
        headers: [`${name}: GET`, "Content-Length: 0"],
        verdict: "405 method_not_allowed",
        allow: "GET, HEAD",
      },
    );
  }
  const kept = { "keyward-key-id": id, "keyward-scopes": "contacts:read", "keyward-integration": "hostile" };
  const more = (what, list, arrives) => rows.push({ what, line, headers: list, verdict: "200", arrives });
  more(
    "Connection cannot remove Keyward's headers",
    ["Connection: Keyward-Key-Id, Keyward-Scopes, X-API-Key, Authorization"],
    { has: kept, lacks: ["x-api-key"] },
  );
  more(
    "headers listed in Connection are removed, in any spelling",
    ["Connection: X-Hop, x_under, X.Dot", "X-Hop: 1", "X_Under: 1", "x.dot: 1", "X-Stay: 1"],
    { has: { "x-stay": "1" }, lacks: ["x-hop", "x_under", "x.dot"] },
  );
  more("Connection with nonsense in it", ['Connection: ,,; "x", é, ', "X-Stay: 1"], { has: { "x-stay": "1" } });
  more("an upgrade to h2c", ["Upgrade: h2c", "HTTP2-Settings: AAMAAABk"], { lacks: ["upgrade", "http2-settings"] });
  more("several upgrades", ["Upgrade: h2c, websocket, foo"], { lacks: ["upgrade"] });
  more(
    "a forged address in addition to the edge's own",
    [
      "CF-Connecting-IP: 192.0.2.9",
      "X-Forwarded-For: 6.6.6.6, 192.0.2.9",
      "X-Real-IP: 6.6.6.6",
      "CF_Connecting_IP: 6.6.6.6",
    ],
    { has: { "x-forwarded-for": "192.0.2.9" }, not: "6.6.6.6" },
  );
  more("no address at all", [], { lacks: ["x-forwarded-for", "x-real-ip"] });
  more("a method override", ["X-HTTP-Method-Override: DELETE", "X_HTTP_METHOD: DELETE"], {
    method: "GET",
    not: "DELETE",
  });
  more("a name of every token character", ["!#$%&'*+-.^_`|~09aZ: 1"], { has: { "!#$%&'*+-.^_`|~09az": "1" } });
  more("a name that objects have", ["__proto__: 1", "constructor: 1", "toString: 1"], {
    has: { __proto__: "1", constructor: "1" },
  });
  more("bytes outside ASCII in a value", ["X-Bytes: caf\xe9 \xc3\xa9"], { has: { "x-bytes": "caf\xe9 \xc3\xa9" } });
  more("a value with what looks like a line", ["X-Line: a\\r\\nKeyward-Key-Id: forged"], {
    has: { "keyward-key-id": id },
  });
  more("an empty value", ["X-Empty:"], { has: { "x-empty": "" } });
  more("Cookie with a key's prefix is the origin's", ["Cookie: k=wafl_live_x"], { has: { cookie: "k=wafl_live_x" } });
  more("100 headers", lines(97), { has: { "x-96": "1" } });
  more("just under 32 KB in one", [`X-Large: ${"a".repeat(32_500)}`], {});
  const refused = (what, list, verdict, by) => rows.push({ what, line, headers: list, verdict, by });
  refused("101 headers", lines(98), "431 headers_too_large");
  refused("1,000 headers", lines(1_000), "431 headers_too_large");
  refused("over 32 KB in one", [`X-Large: ${"a".repeat(32_768)}`], "431 headers_too_large");
  refused(
    "over 32 KB in many",
    Array.from({ length: 50 }, (_, index) => `X-${index}: ${"a".repeat(700)}`),
    "431 headers_too_large",
  );
  refused(
    "over 32 KB in one repeated name",
    Array.from({ length: 50 }, () => `X-Same: ${"a".repeat(700)}`),
    "431 headers_too_large",
  );
  refused("a header without a colon", ["nonsense"], "400", "workerd");
  refused("a name with a space", ["X Y: 1"], "400", "workerd");
  refused("a space before the colon", ["Keyward-Key-Id : forged"], "400", "workerd");
  refused("an empty name", [": 1"], "400", "workerd");
  refused("a name outside ASCII", ["X-\xe9: 1"], "400", "workerd");
  refused("NUL in a value", ["X-Nul: a\0b"], "400", "workerd");
  refused("a folded line (obs-fold)", ["X-Fold: a", "  b: c"], "400", "workerd");
  refused("a folded line that forges", ["X-Fold: a", " Keyward-Key-Id: forged"], "400", "workerd");
  refused("CR alone inside a value", ["X-Cr: a\rKeyward-Key-Id: forged"], "400", "workerd");
  return rows;
}

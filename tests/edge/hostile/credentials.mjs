// docs/internals/hostile.md, "Credentials": invalid credentials. None reaches the origin, and none costs a read, as
// hostile-reads.test.mjs checks, except for the rows with `known`, which only the gate or a holder of one of its keys can create.

import { mintKey, otherSecret, withCheck, wrongTag } from "../harness/keys.mjs";

export function credentials({ key, other, member, revoked, test }) {
  const bearer = (value) => [`Authorization: Bearer ${value}`];
  const secret = key.slice(-46);
  const rows = [];
  const add = (verdict, what, headers, more) =>
    rows.push({ what, headers, verdict, credential: null, line: "GET /v1/x", ...more });
  const invalid = (what, headers) => add("401 invalid_key", what, headers);

  add("401 missing_key", "nothing", []);
  for (const value of ["", " ", "   "]) {
    add("401 missing_key", `an empty Authorization (${value.length} spaces)`, [`Authorization:${value}`]);
    add("401 missing_key", `an empty X-API-Key (${value.length} spaces)`, [`X-API-Key:${value}`]);
  }
  for (const [what, value] of Object.entries({
    "8 KB of key": `wafl_live_${"a".repeat(8_192)}`,
    "8 KB after a good key": key + "a".repeat(8_192),
    "half of a key": key.slice(0, 40),
    "a key without its last letter": key.slice(0, -1),
    "a key with an additional letter": `${key}0`,
    "a key in quotes": `"${key}"`,
    "a key in angle brackets": `<${key}>`,
    "a key, percent-encoded": key.replaceAll("_", "%5F"),
    "a key in base64": Buffer.from(key).toString("base64"),
    "a key in capitals": key.toUpperCase(),
    "a space inside": `${key.slice(0, 30)} ${key.slice(30)}`,
    "a tab inside": `${key.slice(0, 30)}\t${key.slice(30)}`,
    "a homoglyph in the prefix": key.replace("wafl", "w\xd0\xb0fl"),
    "a homoglyph in the secret": `${key.slice(0, 30)}\xce\x9f${key.slice(31)}`,
    "bytes outside ASCII": `${key.slice(0, 30)}\xff${key.slice(31)}`,
    "a zero-width space at its end": `${key}\xe2\x80\x8b`,
    "a no-break space before it": `\xc2\xa0${key}`,
    "a check of more than 32 bits": `${key.slice(0, -6)}zzzzzz`,
    "a check of zeros": `${key.slice(0, -6)}000000`,
    "one letter of the secret changed": `${key.slice(0, 30)}${key[30] === "x" ? "y" : "x"}${key.slice(31)}`,
    "the same with a corrected check: the tag is wrong": wrongTag(key),
    "another environment's prefix on the same secret": withCheck(`wafl_test_${key.slice(10, -6)}`),
    "another id on the same secret": withCheck(`wafl_live_000000000000_${secret.slice(0, -6)}`),
    "another product's prefix": withCheck(`acme_live_${key.slice(10, -6)}`),
    "an environment there is not": withCheck(`wafl_prod_${key.slice(10, -6)}`),
    "a member's credential": member,
    "minted under another secret": mintKey({
      keywardSecret: Buffer.alloc(32, 9).toString("base64"),
      identifier: "8Fh2kQ0sZp1L",
      secret: "7".repeat(32),
    }),
    "the key id alone": key.slice(0, 22),
    "a JWT": "eyJhbGciOiJub25lIn0.e30.",
    SQL: "' OR 1=1 --",
    "a scheme twice": `Bearer ${key}`,
    "a line of its own in quotes": `${key}\\r\\nX: 1`,
  }))
    invalid(what, bearer(value));
  add(
    "401 invalid_key",
    "well formed, but never issued",
    bearer(mintKey({ identifier: "8Fh2kQ0sZp1L", secret: "7".repeat(32) })),
    { known: true },
  );
  add("401 invalid_key", "the right id with another secret", bearer(otherSecret(key)), { known: true });
  // workerd passes every control character except NUL, CR and LF.
  for (const control of ["\x01", "\x08", "\x0b", "\x0c", "\x1b", "\x1f", "\x7f", "\x85"]) {
    invalid(`a control inside: ${JSON.stringify(control)}`, bearer(`${key.slice(0, 30)}${control}${key.slice(30)}`));
    invalid(`a control at its end, in X-API-Key: ${JSON.stringify(control)}`, [`X-API-Key: ${key}${control}`]);
  }
  add("400", "a NUL inside", bearer(`${key.slice(0, 30)}\0${key.slice(30)}`), { by: "workerd" });
  add("400", "a CR inside", bearer(`${key.slice(0, 30)}\r${key.slice(30)}`), { by: "workerd" });
  for (const [what, value] of Object.entries({
    Basic: "Basic b3BzOng=",
    "Basic with the key as user": `Basic ${Buffer.from(`${key}:`).toString("base64")}`,
    Digest: 'Digest username="ops"',
    "a key without a scheme": key,
    "the scheme alone": "Bearer",
    "another word before it": `Token ${key}`,
    "a tab after the scheme": `Bearer\t${key}`,
    "a scheme with a colon": `Bearer: ${key}`,
    "Bearer in homoglyphs": `\xd0\x92earer ${key}`,
  }))
    invalid(what, [`Authorization: ${value}`]);
  for (const [what, value] of Object.entries({
    "a scheme in X-API-Key": `Bearer ${key}`,
    "a space inside X-API-Key": `${key.slice(0, 9)} ${key.slice(9)}`,
    "another product's key": "sk_live_4242",
  })) {
    invalid(what, [`X-API-Key: ${value}`]);
  }
  for (const [what, headers] of Object.entries({
    "both headers": [...bearer(key), `X-API-Key: ${key}`],
    "both, of two keys": [...bearer(other), `X-API-Key: ${key}`],
    "a broken key with a valid one": ["Authorization: Bearer wafl_x", `X-API-Key: ${key}`],
    "Authorization twice": [...bearer(key), ...bearer(key)],
    "X-API-Key twice": [`X-API-Key: ${key}`, `X-API-Key: ${other}`],
    "a list in one header": bearer(`${key}, ${other}`),
    "a comma at the end": bearer(`${key},`),
    "ours as the second value of another scheme": [`Authorization: Basic b3Bz, Bearer ${other}`, `X-API-Key: ${key}`],
  }))
    add("400 ambiguous_credentials", what, headers);
  for (const [what, target] of Object.entries({
    "a key in the query": `/v1/x?api_key=${key}`,
    "a key in the path": `/v1/${key}/x`,
    "a key, percent-encoded in the query": `/v1/x?k=${key.replaceAll("_", "%5F")}`,
    "a member's credential in the URL": `/v1/x?k=${member}`,
    "a revoked key in the URL": `/v1/x?k=${revoked}`,
    "a key on a public route": `/public/x?k=${key}`,
    "a key below /_keyward/": `/_keyward/v1/keys/${key}`,
    "a key after other letters": `/v1/x?k=abc${key}def`,
    "a key on a path without a route": `/nowhere?k=${key}`,
  }))
    add("400 key_in_url", what, bearer(key), { line: `GET ${target}` });
  add("401 revoked_key", "a revoked key", bearer(revoked), { known: true });
  add("503 no_origin", "a test key where there is no ORIGIN_TEST: never the live one", bearer(test), { known: true });
  add("403 browser_exposed", "a valid key with Origin", [...bearer(key), "Origin: https://acme.example"]);
  add("403 browser_exposed", "a good key with Sec-Fetch-Site", [...bearer(key), "Sec-Fetch-Site: none"]);
  add("403 browser_exposed", "a preflight, at once", ["Origin: https://a", "Access-Control-Request-Method: GET"], {
    line: "OPTIONS /v1/any/x",
  });
  add("401 missing_key", "OPTIONS without a preflight's headers needs a key", [], { line: "OPTIONS /v1/any/x" });
  const accepted = { known: true, arrives: { lacks: ["authorization", "x-api-key"], not: secret } };
  add("200", "Bearer in any letter case, with spaces", [`Authorization: bEaReR   ${key}  `], accepted);
  add("200", "X-API-Key beside an empty Authorization", ["Authorization:", `X-API-Key: ${key}`], {
    known: true,
    arrives: { lacks: ["x-api-key"], not: secret },
  });
  add("200", "X-API-Key beside the origin's own Authorization", ["Authorization: Basic b3Bz", `X-API-Key: ${key}`], {
    known: true,
    arrives: { has: { authorization: "Basic b3Bz" }, not: secret },
  });
  return rows;
}

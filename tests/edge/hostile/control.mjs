// docs/internals/hostile.md, "Control plane", as bytes: refused requests, with the field that the answer names. None of them changes anything.

const KEYS = "/_keyward/v1/keys";
const GOOD = {
  name: "CRM sync",
  integration: "crm-sync",
  environment: "live",
  purpose: "Nightly sync",
  owner: "ops@acme.example",
  scopes: ["contacts:read"],
};

export function control({ key, member, id }) {
  const rows = [];
  const add = (verdict, what, line, /** @type {any} */ { headers = [], body = "", bearer = member, ...more } = {}) => {
    const credential = bearer === null ? [] : [`Authorization: Bearer ${bearer}`];
    const length =
      body === "" && !line.startsWith("POST") ? [] : [`Content-Length: ${Buffer.byteLength(body, "latin1")}`];
    rows.push({
      what,
      line,
      verdict,
      credential: null,
      headers: [...credential, ...length, ...headers],
      body,
      ...more,
    });
  };
  const JSON_TYPE = ["Content-Type: application/json"];
  const post = (verdict, what, fields, more) =>
    add(verdict, what, `POST ${KEYS}`, {
      headers: JSON_TYPE,
      body: latin1(typeof fields === "string" ? fields : JSON.stringify({ ...GOOD, ...fields })),
      ...more,
    });
  const invalid = (what, fields, field) => post("400 invalid_request", what, fields, { field });

  add("401 missing_key", "no credential", `GET ${KEYS}`, { bearer: null });
  for (const [what, bearer] of [
    ["a data key", key],
    ["a malformed key", "x"],
    ["half a credential", member.slice(0, 40)],
    ["the bootstrap token", "bootstrap-token-of-the-edge-tests"],
  ]) {
    add("401 invalid_key", what, `GET ${KEYS}`, { bearer });
    add("401 invalid_key", `${what}, with an invalid body: the answer does not mention it`, `POST ${KEYS}`, {
      bearer,
      headers: JSON_TYPE,
      body: '{"colour":1',
    });
  }
  add("401 missing_key", "a member in X-API-Key, which does not sign in", `GET ${KEYS}`, {
    bearer: null,
    headers: [`X-API-Key: ${member}`],
  });
  for (const headers of [
    ["Origin: https://evil.example"],
    ["Origin: null"],
    ["Sec-Fetch-Site: cross-site"],
    ["Sec-Fetch-Site: same-site"],
    ["Origin: http://gate.example.evil"],
    ["Origin: http://gate.example", "Sec-Fetch-Site: cross-site"],
  ]) {
    add("403 cross_site", `from another site: ${headers.join(", ")}`, `GET ${KEYS}`, { headers });
    add("403 cross_site", `a change from another site: ${headers.join(", ")}`, `POST ${KEYS}/${id}/revoke`, {
      headers: [...headers, ...JSON_TYPE],
      body: '{"reason":"x"}',
    });
  }
  for (const type of [
    [],
    ["Content-Type: text/plain"],
    ["Content-Type: application/x-www-form-urlencoded"],
    ["Content-Type: application/jsonp"],
    ["Content-Type: application/json, text/plain"],
  ]) {
    add("415 unsupported_media_type", `another type: ${type}`, `POST ${KEYS}`, {
      headers: type,
      body: JSON.stringify(GOOD),
    });
  }
  post("413 body_too_large", "a body over 64 KB", `${JSON.stringify(GOOD)}${" ".repeat(65_536)}`);
  for (const [what, body] of Object.entries({
    "no body": "",
    "half of a body": '{"name":',
    "a list": "[]",
    null: "null",
    "a text": '"x"',
    "two bodies": "{}{}",
    Infinity: '{"expires_in_days":Infinity}',
    NaN: '{"expires_in_days":NaN}',
    "a comment": '{/* x */"name":"x"}',
    "a comma too many": '{"name":"x",}',
    "60,000 brackets": "[".repeat(60_000),
    "what is not UTF-8": '{"name":"\xff\xfe"}',
    "half a surrogate": '{"name":"\\ud800"}',
    "a byte order mark": "\xef\xbb\xbf{}",
  }))
    post("400 invalid_request", `a body that is no JSON object: ${what}`, body);
  invalid("an unknown field", { colour: "red" }, "colour");
  invalid("a field twice", `{"name":"a","name":"b"}`, "name");
  invalid("a field twice, once escaped", `{"na\\u006de":"a","name":"b"}`, "name");
  invalid("__proto__", `{"__proto__":{"name":"x"}}`, "__proto__");
  for (const [what, text] of Object.entries({
    "a control": "a\u0001b",
    "a line break": "a\nb",
    DEL: "a\u007f",
    "a C1 control": "a\u0085",
    "an override": "a\u202eb",
    "an isolate": "a\u2066b",
    "a mark": "\u200fa",
    "a line separator": "a\u2028b",
    "a tag": "a\u{e0041}",
    "only spaces": "  ",
    nothing: "",
    "101 letters": "a".repeat(101),
  })) {
    invalid(`a name with ${what}`, { name: text }, "name");
  }
  for (const field of ["purpose", "owner"]) {
    invalid(`an override in ${field}`, { [field]: "a\u202eb" }, field);
    for (const value of [1, true, {}, ["x"]])
      invalid(`${field} is ${JSON.stringify(value)}`, { [field]: value }, field);
  }
  invalid("a scope that is no text", { scopes: ["contacts:read", 1] }, "scopes[1]");
  invalid("a scope twice", { scopes: ["contacts:read", "contacts:read"] }, "scopes[1]");
  invalid("no scope", { scopes: [] }, "scopes");
  invalid("51 scopes", { scopes: Array.from({ length: 51 }, (_, index) => `s:${index}`) }, "scopes");
  post("400 unknown_scope", "a scope no route has", { scopes: ["everything"] }, { field: "scopes[0]" });
  invalid("a network with a leading zero", { allowed_cidrs: ["010.8.0.0/16"] }, "allowed_cidrs[0]");
  invalid("a network with host bits", { allowed_cidrs: ["192.0.2.1/24"] }, "allowed_cidrs[0]");
  invalid(
    "1,001 networks",
    { allowed_cidrs: Array.from({ length: 1_001 }, (_, index) => `10.${index >> 8}.${index & 255}.0/24`) },
    "allowed_cidrs",
  );
  for (const [field, value] of [
    ["expires_at", "2020-01-01T00:00:00Z"],
    ["expires_at", "9999-01-01T00:00:00Z"],
    ["expires_at", "2027-01-01"],
    ["expires_at", "2027-01-01T00:00:00+0200"],
    ["expires_at", "Infinity"],
    ["expires_in_days", 0],
    ["expires_in_days", -1],
    ["expires_in_days", 1.5],
    ["expires_in_days", "30"],
    ["expires_in_days", 1e300],
    ["expires_in_days", 366],
  ]) {
    invalid(`${field} ${value}`, { [field]: value }, field);
  }
  add("404 not_found", "a key that is not there", `GET ${KEYS}/wafl_live_000000000000`);
  add("404 not_found", "an id that is none", `GET ${KEYS}/x`);
  add("405 method_not_allowed", "a GET that would change something", `GET ${KEYS}/${id}/revoke?reason=x`);
  add("400 invalid_request", "a GET with a query that means nothing", "GET /_keyward/v1/me?role=owner", {
    field: "query",
  });
  for (const query of [
    "limit=0",
    "limit=201",
    "limit=x",
    "limit=1&limit=2",
    "cursor=x",
    "environment=prod",
    "colour=red",
    "status=",
  ]) {
    add("400 invalid_request", `a list by ${query}`, `GET ${KEYS}?${query}`);
  }
  add("405 method_not_allowed", "a method override", `GET ${KEYS}/${id}/revoke`, {
    headers: ["X-HTTP-Method-Override: POST"],
  });
  add("404 no_route", "an unknown path", "GET /_keyward/v1/secrets");
  return rows;
}

/** Returns the UTF-8 bytes of a text as one character each, as raw() writes them. Bodies with such bytes are returned unchanged. */
const latin1 = (text) => (/\xff|\xef\xbb\xbf/.test(text) ? text : Buffer.from(text, "utf8").toString("latin1"));

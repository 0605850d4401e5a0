// docs/internals/hostile.md, "Control plane", where bodies are forms or contain a key: refused requests at the OAuth endpoints and at verify. None
// of them revokes anything or discloses anything about a key.

const INTROSPECT = "/_keyward/oauth/introspect";
const REVOKE = "/_keyward/oauth/revoke";
const FORM = "Content-Type: application/x-www-form-urlencoded";

export function oauth({ key, other, member }) {
  const rows = [];
  let addresses = 0;
  const add = (
    verdict,
    what,
    path,
    body,
    /** @type {any} */ { type = FORM, authorization = `Bearer ${member}`, headers = [], ...more } = {},
  ) => {
    // Each from its own address, so that the rate limit does not apply.
    addresses += 1;
    const from = `CF-Connecting-IP: 203.0.113.${addresses}`;
    const sent = [
      ...(authorization === null ? [] : [`Authorization: ${authorization}`]),
      ...(type === null ? [] : [type]),
      `Content-Length: ${Buffer.byteLength(body, "latin1")}`,
      from,
      ...headers,
    ];
    rows.push({ what, line: `POST ${path}`, verdict, credential: null, headers: sent, body, ...more });
  };
  const basic = (text) => `Basic ${Buffer.from(text).toString("base64")}`;
  const id = member.split("_").slice(0, 3).join("_");

  for (const [what, authorization] of Object.entries({
    "no client": null,
    "a data key as the client": `Bearer ${key}`,
    "half a credential": `Bearer ${member.slice(0, 40)}`,
    "a member without a scheme": member,
    "two schemes": `Bearer ${member}, ${basic(`${id}:${member}`)}`,
    "Basic of a data key": basic(`${id}:${key}`),
    "Basic with another's id": basic(`wafl_admin_000000000000:${member}`),
    "Basic without an id": basic(`:${member}`),
    "Basic with a space": basic(`${id}: ${member}`),
    "Basic that is no base64": "Basic %%%",
    "Basic that is not UTF-8": `Basic ${Buffer.from([0xff, 0xfe, 0x3a, 0xff]).toString("base64")}`,
    "Basic with a broken escape": basic(`${id}:${member}%f`),
    "an empty Basic": "Basic ",
    "8 KB of Basic": `Basic ${"A".repeat(8_000)}`,
  })) {
    add("401", what, INTROSPECT, `token=${key}`, { authorization });
    add("401", `${what}, with an invalid form: the answer does not mention it`, INTROSPECT, "x", { authorization });
  }
  for (const path of [INTROSPECT, REVOKE]) {
    for (const [what, body] of Object.entries({
      "no token": "x=y",
      nothing: "",
      "an empty token": "token=",
      "the token twice": `token=${key}&token=${key}`,
      "the token twice, once escaped": `token=x&t%6fken=${key}`,
      "the token twice, once empty": `token=${key}&token=`,
      "the hint twice": `token=x&token_type_hint=a&token_type_hint=a`,
      "another letter case": `Token=${key}`,
      "a list": `token[]=${key}`,
      "a semicolon between": `x=y;token=${key}`,
    }))
      add("400", `a form with ${what}`, path, body);
    for (const type of [
      null,
      "Content-Type: application/json",
      "Content-Type: text/plain",
      "Content-Type: multipart/form-data; boundary=x",
      "Content-Type: application/x-www-form-urlencodedx",
      "Content-Type: application/json, application/x-www-form-urlencoded",
    ]) {
      add("400", `another type: ${type}`, path, `token=${key}`, { type });
    }
    add("400", "parameters in the URL", `${path}?x=y`, `token=${key}`);
    add("400 key_in_url", "the token in the URL", `${path}?token=${key}`, "");
    add("413 body_too_large", "a form over 64 KB", path, `token=${key}&x=${"x".repeat(65_536)}`);
    for (const headers of [
      ["Origin: https://evil.example"],
      ["Origin: null"],
      ["Sec-Fetch-Site: cross-site"],
      ["Sec-Fetch-Site: same-site"],
    ]) {
      add("403 cross_site", `a form from another site: ${headers}`, path, `token=${key}`, { headers });
    }
    for (const method of ["GET", "PUT", "DELETE", "OPTIONS"]) {
      rows.push({
        what: `${method} at ${path}`,
        line: `${method} ${path}`,
        verdict: "405 method_not_allowed",
        allow: "POST",
        credential: null,
        headers: [`Authorization: Bearer ${member}`],
      });
    }
    rows.push({
      what: "another letter case of the path",
      line: `POST ${path.toUpperCase()}`,
      verdict: "404 no_route",
      credential: null,
      headers: [FORM, "Content-Length: 0"],
    });
  }
  for (const [what, token] of Object.entries({
    "a NUL": "%00",
    "what is not UTF-8": "%ff%fe",
    "a homoglyph": key.replace("wafl", "w%D0%B0fl"),
    "a key and another scheme": `Basic+${key}`,
    "a space in a key": key.replace("_live_", "_live_+"),
    "two keys": `${key},${other}`,
    "8 KB": "x".repeat(8_192),
    "a member": member,
  })) {
    add("200", `a token with ${what} is inactive`, INTROSPECT, `token=${token}`, { text: '{"active":false}' });
    add("200", `a token with ${what} is answered as revoked`, REVOKE, `token=${token}`, {
      authorization: null,
      text: "",
    });
  }
  const verify = (verdict, what, body, more) =>
    add(verdict, what, "/_keyward/v1/verify", typeof body === "string" ? body : JSON.stringify(body), {
      type: "Content-Type: application/json",
      ...more,
    });
  verify("401 invalid_key", "a data key that asks about itself", { api_key: key }, { authorization: `Bearer ${key}` });
  verify(
    "401 invalid_key",
    "Basic where a bearer is due",
    { api_key: key },
    { authorization: basic(`${id}:${member}`) },
  );
  verify("415 unsupported_media_type", "a form where JSON is due", `api_key=${key}`, { type: FORM });
  for (const [field, body] of [
    ["api_key", {}],
    ["api_key", { api_key: [key] }],
    ["api_key", `{"api_key":"x","api_key":"${key}"}`],
    ["API_KEY", { API_KEY: key }],
    ["path", { api_key: key, method: "GET" }],
    ["ip", { api_key: key, ip: "192.0.2.7, 192.0.2.8" }],
    ["scope", { api_key: key, scope: "contacts:read events:read" }],
  ]) {
    verify("400 invalid_request", `verify with a wrong ${field}`, body, { field });
  }
  for (const path of ["/v1/any/x\r\nX-API-Key: x", "/v1/any/x\u0000", "/v1//any", "\\v1", "/v1/any/../x"]) {
    verify("200 bad_path", `verify of a path that is none: ${JSON.stringify(path)}`, {
      api_key: key,
      method: "GET",
      path,
    });
  }
  rows.push({
    what: "a write of the metadata",
    line: "POST /.well-known/oauth-authorization-server/_keyward",
    verdict: "405 method_not_allowed",
    allow: "GET, HEAD",
    credential: null,
    headers: ["Content-Length: 0"],
  });
  return rows;
}

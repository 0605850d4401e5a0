// docs/internals/hostile.md, "Methods and upgrades", and the framing of bodies (request smuggling).

const ALL = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

export function methods({ key }) {
  const credential = `X-API-Key: ${key}`;
  const head = (line, more) => [`${line} HTTP/1.1`, "Host: gate.example", credential, ...more, "", ""].join("\r\n");
  const rows = /** @type {any[]} */ ([
    { what: "TRACE", line: "TRACE /v1/any/x", verdict: "405 method_not_allowed", allow: ALL },
    { what: "TRACE of Keyward's own", line: "TRACE /_keyward/health", verdict: "405 method_not_allowed", allow: ALL },
    {
      what: "a method no route of the path names",
      line: "DELETE /v1/write",
      verdict: "405 method_not_allowed",
      allow: "POST, GET, HEAD",
    },
    {
      what: "a method no route names, on a path that only has GET",
      line: "POST /v1/x",
      verdict: "405 method_not_allowed",
      allow: "GET, HEAD",
    },
    {
      what: "the same with a valid body",
      line: "PUT /v1/x",
      headers: ["Content-Length: 2"],
      body: "{}",
      verdict: "405 method_not_allowed",
      allow: "GET, HEAD",
    },
    {
      what: "a wrong method of Keyward's own path",
      line: "DELETE /_keyward/v1/keys",
      verdict: "405 method_not_allowed",
      allow: "POST, GET, HEAD",
    },
    { what: "HEAD is decided as GET: refused", line: "HEAD /v1/admin/x", verdict: "403" },
    { what: "HEAD is decided as GET: forwarded", line: "HEAD /v1/x", verdict: "200", arrives: { method: "HEAD" } },
    { what: "HEAD of a path that only takes POST", line: "HEAD /_keyward/v1/bootstrap", verdict: "405" },
    {
      what: "GET with a body",
      line: "GET /v1/x",
      headers: ["Content-Length: 2"],
      body: "hi",
      verdict: "400 unexpected_body",
    },
    {
      what: "GET with a chunked body",
      line: "GET /v1/x",
      headers: ["Transfer-Encoding: chunked"],
      body: "2\r\nhi\r\n0\r\n\r\n",
      verdict: "400 unexpected_body",
    },
    {
      what: "GET with an empty body",
      line: "GET /v1/x",
      headers: ["Content-Length: 0"],
      verdict: "200",
      arrives: { method: "GET" },
    },
    { what: "HEAD with a body", line: "HEAD /v1/x", headers: ["Content-Length: 2"], body: "hi", verdict: "400" },
    {
      what: "CONNECT with an authority: an event without a handler",
      line: "CONNECT gate.example:80",
      verdict: "500",
      by: "workerd",
    },
    { what: "CONNECT with a path", line: "CONNECT /v1/any/x", verdict: "500", by: "workerd" },
  ]);
  for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE", "PROPFIND"]) {
    rows.push({
      what: `${method} on a route for every method`,
      line: `${method} /v1/any/x`,
      verdict: "200",
      arrives: { method },
    });
  }
  for (const method of ["get", "Get", "FOO", "GET-X", "TRACK", "PRI", "M-SEARCH"]) {
    rows.push({ what: `the method ${method}`, line: `${method} /v1/any/x`, verdict: "501", by: "workerd" });
  }
  for (const method of ["GET\x01", "G@T", "\xefGET"])
    rows.push({ what: `no method at all: ${method}`, line: `${method} /v1/any/x`, verdict: "400", by: "workerd" });
  const chunked = { method: "POST", lacks: ["content-length"], not: "SMUGGLED" };
  rows.push(
    { what: "no method", line: " /v1/x", verdict: "400", by: "workerd" },
    { what: "no version", raw: "GET /v1/x\r\n\r\n", verdict: "400", by: "workerd" },
    { what: "HTTP/2's preface", raw: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", verdict: "nothing", by: "workerd" },
    { what: "another version", raw: "GET /v1/x HTTP/3.7\r\nHost: h\r\n\r\n", verdict: "400", by: "workerd" },
    {
      what: "TLS on the plain port",
      raw: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
      verdict: "400",
      by: "workerd",
    },
    {
      what: "a length and chunks: workerd uses the chunks (RFC 9112, section 6.3), and ignores the bytes after them",
      raw: `${head("POST /v1/any/x", ["Content-Length: 4", "Transfer-Encoding: chunked"])}0\r\n\r\nSMUGGLED`,
      verdict: "200",
      arrives: chunked,
    },
    {
      what: "two lengths that differ",
      raw: `${head("POST /v1/any/x", ["Content-Length: 2", "Content-Length: 3"])}abc`,
      verdict: "400",
      by: "workerd",
    },
    {
      what: "a length with a sign",
      raw: `${head("POST /v1/any/x", ["Content-Length: +2"])}ab`,
      verdict: "400",
      by: "workerd",
    },
    { what: "a negative length", raw: head("POST /v1/any/x", ["Content-Length: -1"]), verdict: "400", by: "workerd" },
    {
      what: "a length in hex",
      raw: `${head("POST /v1/any/x", ["Content-Length: 0x2"])}ab`,
      verdict: "400",
      by: "workerd",
    },
    {
      what: "a length of more than 64 bits",
      raw: head("POST /v1/any/x", ["Content-Length: 99999999999999999999"]),
      verdict: "400",
      by: "workerd",
    },
    {
      what: "an unknown transfer coding",
      raw: `${head("POST /v1/any/x", ["Transfer-Encoding: xchunked"])}0\r\n\r\n`,
      verdict: "400",
      by: "workerd",
    },
    {
      what: "chunked twice counts as once",
      raw: `${head("POST /v1/any/x", ["Transfer-Encoding: chunked, chunked"])}0\r\n\r\nSMUGGLED`,
      verdict: "200",
      arrives: chunked,
    },
    {
      what: "an upgrade to websocket without a key",
      line: "GET /v1/x",
      credential: null,
      headers: ["Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="],
      verdict: "401 missing_key",
    },
    {
      what: "an upgrade to websocket with a key without the scope",
      line: "GET /v1/admin/x",
      headers: ["Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="],
      verdict: "403 insufficient_scope",
    },
    {
      what: "an upgrade by POST stays a POST",
      line: "POST /v1/write",
      headers: ["Upgrade: websocket", "Content-Length: 2"],
      body: "{}",
      verdict: "200",
      arrives: { method: "POST", lacks: ["upgrade"] },
    },
    {
      what: "an upgrade by HEAD stays a HEAD",
      line: "HEAD /v1/x",
      headers: ["Upgrade: websocket"],
      verdict: "200",
      arrives: { method: "HEAD", lacks: ["upgrade"] },
    },
    {
      what: "Expect: 100-continue",
      line: "POST /v1/write",
      headers: ["Expect: 100-continue", "Content-Length: 2"],
      body: "{}",
      verdict: "100",
      arrives: { method: "POST" },
    },
    {
      what: "a public route with a method that it does not have",
      line: "POST /public/x",
      verdict: "405 method_not_allowed",
      allow: "GET, HEAD",
    },
  );
  return rows;
}

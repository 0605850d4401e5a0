import assert from "node:assert/strict";
import { request } from "node:http";
import { test } from "node:test";
import { startDemoOrigin } from "../../tools/demo-origin.mjs";

async function origin(t) {
  const server = await startDemoOrigin(0);
  t.after(() => server.close());
  return server.address().port;
}

function send(port, { method, path, headers, body }) {
  return new Promise((resolve, reject) => {
    const sent = request({ port, host: "127.0.0.1", method, path, headers, agent: false }, (response) => {
      let text = "";
      response.on("data", (part) => (text += part));
      response.on("end", () =>
        resolve({ status: response.statusCode, type: response.headers["content-type"], json: JSON.parse(text) }),
      );
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

test("the demo origin answers with the request it received, raw", async (t) => {
  const port = await origin(t);
  const { status, type, json } = await send(port, {
    method: "POST",
    path: "/v1/a%2Fb/../c?x=1&x=2",
    headers: { Host: "api.example", "X-Twice": ["one", "two"], "Content-Type": "text/plain" },
    body: "héllo",
  });
  assert.equal(status, 200);
  assert.equal(type, "application/json");
  assert.equal(json.method, "POST");
  assert.equal(json.url, "/v1/a%2Fb/../c?x=1&x=2");
  assert.equal(json.headers.host, "api.example");
  assert.equal(json.headers["x-twice"], "one, two");
  assert.equal(json.body, "héllo");
});

test("a taken port is an error, not a second listener", async (t) => {
  const port = await origin(t);
  await assert.rejects(startDemoOrigin(port), { code: "EADDRINUSE" });
});

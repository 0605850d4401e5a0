// A receiver of Keyward's events: verifies the Ed25519 signature (`v1a`), and handles each event once. Node 20 or later, without packages.
//
//   KEYWARD_JWKS=https://keys.example.com/_keyward/jwks.json PORT=9000 node receiver.mjs

import { createPublicKey, verify } from "node:crypto";
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

const TOLERANCE_SECONDS = 300;
const MAX_BODY_BYTES = 65_536;
const REMEMBERED = 10_000;
const KEYS_FOR_MS = 300_000;

/** Fetches the deployment's public keys, at most every five minutes. */
export function keySet(url) {
  let keys = [];
  let fetchedAt = 0;
  return async () => {
    if (Date.now() - fetchedAt > KEYS_FOR_MS) {
      const answer = await fetch(url, { redirect: "error", signal: AbortSignal.timeout(5_000) });
      if (!answer.ok) throw new Error(`The key set answered ${answer.status}.`);
      keys = (await answer.json()).keys.map((jwk) => createPublicKey({ key: jwk, format: "jwk" }));
      fetchedAt = Date.now();
    }
    return keys;
  };
}

/** Whether one of the signatures is by one of the keys, and made within five minutes. */
export function isGenuine(headers, body, keys) {
  const id = headers["webhook-id"];
  const time = headers["webhook-timestamp"];
  if (!id || !/^\d{1,12}$/.test(time ?? "")) return false;
  if (Math.abs(Date.now() / 1000 - Number(time)) > TOLERANCE_SECONDS) return false;
  const signed = Buffer.concat([Buffer.from(`${id}.${time}.`), body]);
  const signatures = (headers["webhook-signature"] ?? "")
    .split(" ")
    .filter((one) => one.startsWith("v1a,"))
    .map((one) => Buffer.from(one.slice("v1a,".length), "base64"));
  return signatures.some((signature) => keys.some((key) => verify(null, signed, key, signature)));
}

/** Starts a receiver that calls `handle` once for each event. */
export function receive({ jwks, port, handle }) {
  const keys = keySet(jwks);
  const handled = new Map();
  // A retry that arrives while the first attempt is still running waits for it. An event that could not be handled is forgotten.
  const handleOnce = (id, body) => {
    let running = handled.get(id);
    if (running === undefined) {
      running = Promise.resolve().then(() => handle(JSON.parse(body.toString())));
      handled.set(id, running);
      running.catch(() => handled.delete(id));
      if (handled.size > REMEMBERED) handled.delete(handled.keys().next().value);
    }
    return running;
  };
  const server = createServer(async (request, response) => {
    const answer = (status) => response.writeHead(status).end();
    try {
      if (request.method !== "POST") return answer(405);
      const chunks = [];
      let size = 0;
      for await (const chunk of request) {
        size += chunk.length;
        if (size > MAX_BODY_BYTES) return answer(413);
        chunks.push(chunk);
      }
      // The bytes as they arrived: a body that was parsed and written again has another signature.
      const body = Buffer.concat(chunks);
      if (!isGenuine(request.headers, body, await keys())) return answer(401);
      await handleOnce(request.headers["webhook-id"], body);
      answer(204);
    } catch (error) {
      // Keyward tries again later.
      console.error(error);
      answer(500);
    }
  });
  return new Promise((resolve) => server.listen(port, "127.0.0.1", () => resolve(server)));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const server = await receive({
    jwks: process.env.KEYWARD_JWKS,
    port: Number(process.env.PORT ?? 9000),
    handle: ({ type, data }) => console.log(`${type} ${data.key_id ?? data.member_id ?? data.endpoint ?? ""}`),
  });
  console.log(`Listening on ${server.address().port}`);
}

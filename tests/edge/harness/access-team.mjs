// Simulated Cloudflare Access team: its RSA keys, and a server for its certificates.

import { generateKeyPairSync, sign } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { portOf } from "./ports.mjs";

export const AUDIENCE = "4714c1358e65fe4b408ad6d432a5f878f08194bdb4752441fd56faefa9b2b6f2";

const part = (value) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

export async function startTeam() {
  const team = new Team();
  await team.listen();
  return team;
}

class Team {
  #server = createServer((request, response) => this.#answer(request, response));
  #keys = new Map();
  /** Number of requests for the certificates. */
  fetched = 0;
  /** Replaces the answer with the certificates, if set: `(response) => void`. */
  misbehave = null;

  async listen() {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    this.addKey("key-1");
  }

  get domain() {
    return `http://127.0.0.1:${portOf(this.#server)}`;
  }

  addKey(kid, modulusLength = 2048) {
    this.#keys.set(kid, generateKeyPairSync("rsa", { modulusLength }));
  }

  removeKey(kid) {
    this.#keys.delete(kid);
  }

  claims(changes = {}) {
    const now = Math.floor(Date.now() / 1000);
    return {
      iss: this.domain,
      aud: [AUDIENCE],
      exp: now + 300,
      nbf: now - 10,
      iat: now - 10,
      email: "olive@acme.example",
      sub: "1",
      type: "app",
      ...changes,
    };
  }

  /**
   * Returns a JWT signed as Access does, or by `by`.
   * @param {object} [changes]
   * @param {{ header?: object, kid?: string, key?: string, by?: (bytes: Buffer, privateKey: any) => Buffer }} [options]
   */
  token(changes = {}, { header = {}, kid = "key-1", key = kid, by } = {}) {
    const signed = `${part({ alg: "RS256", kid, typ: "JWT", ...header })}.${part(this.claims(changes))}`;
    const { privateKey } = this.#keys.get(key) ?? generateKeyPairSync("rsa", { modulusLength: 2048 });
    const signature = by ? by(Buffer.from(signed), privateKey) : sign("RSA-SHA256", Buffer.from(signed), privateKey);
    return `${signed}.${signature.toString("base64url")}`;
  }

  /** Public key in PEM, for tests of algorithm confusion: a broken verifier would use it as a shared secret. */
  publicPem(kid = "key-1") {
    return this.#keys.get(kid).publicKey.export({ type: "spki", format: "pem" });
  }

  async close() {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  #answer(request, response) {
    if (request.url !== "/cdn-cgi/access/certs") return response.writeHead(404).end();
    this.fetched += 1;
    if (this.misbehave) return this.misbehave(response);
    const keys = [...this.#keys].map(([kid, { publicKey }]) => ({
      kid,
      alg: "RS256",
      use: "sig",
      ...publicKey.export({ format: "jwk" }),
    }));
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ keys, public_certs: [] }));
  }
}

// Verifies the audit log in the browser: docs/concepts/audit.md describes each check.

import type { AuditEntry } from "../api/types.ts";

export interface Checkpoint {
  origin: string;
  size: number;
  /** The last entry's hash in lower-case hex. */
  hash: string;
  text: string;
}

export interface VerifierKey {
  name: string;
  id: string;
  raw: Uint8Array<ArrayBuffer>;
  line: string;
}

export const NO_HASH = "0".repeat(64);
const ENCODER = new TextEncoder();

const bytes = (base64: string) => Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
const hex = (data: Uint8Array) => [...data].map((byte) => byte.toString(16).padStart(2, "0")).join("");

async function sha256(data: Uint8Array<ArrayBuffer>) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", data));
}

/** Writes canonical JSON (RFC 8785) of what entries hold. Throws for a number that is not a safe integer. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value !== null && typeof value === "object") {
    const object = value as Record<string, unknown>;
    // sort() compares UTF-16 code units, as the RFC requires.
    const fields = Object.keys(object).sort();
    return `{${fields.map((name) => `${JSON.stringify(name)}:${canonical(object[name])}`).join(",")}}`;
  }
  if (typeof value === "number" && !Number.isSafeInteger(value)) throw new Error("a number that is not an integer");
  return JSON.stringify(value);
}

const FIELDS = ["action", "actor", "at", "detail", "hash", "previous", "seq", "subject"];

/** Why an entry does not continue the chain, or null if it does. */
export async function faultOf(entry: AuditEntry, expected: { seq: number; previous: string }): Promise<string | null> {
  if (Object.keys(entry).sort().join() !== FIELDS.join()) return "does not have exactly the eight fields";
  if (entry.seq !== expected.seq) return `follows entry ${expected.seq - 1}, so an entry is missing or out of order`;
  if (entry.previous !== expected.previous) return `does not name the hash of entry ${expected.seq - 1}`;
  const { hash, ...body } = entry;
  let text: string;
  try {
    text = canonical(body);
  } catch (error) {
    return `holds ${(error as Error).message}`;
  }
  if (hex(await sha256(ENCODER.encode(text))) !== hash) return "was changed: its hash does not match its content";
  return null;
}

/** Reads `<name>+<key id>+<key>`. Returns null for a line that is not a verifier key whose id fits. */
export async function parseVerifierKey(line: string): Promise<VerifierKey | null> {
  const [, name, id, encoded] = /^([^+\s]+)\+([0-9a-f]{8})\+(\S+)$/.exec(line.trim()) ?? [];
  if (!name || !id || !encoded) return null;
  let key: Uint8Array<ArrayBuffer>;
  try {
    key = bytes(encoded);
  } catch {
    return null;
  }
  if (key.length !== 33 || key[0] !== 1) return null;
  const prefix = ENCODER.encode(`${name}\n`);
  const named = new Uint8Array(prefix.length + key.length);
  named.set(prefix);
  named.set(key, prefix.length);
  if (hex((await sha256(named)).slice(0, 4)) !== id) return null;
  return { name, id, raw: key.slice(1), line: line.trim() };
}

export async function parseVerifierKeys(text: string): Promise<VerifierKey[]> {
  const keys = await Promise.all(text.split("\n").filter(Boolean).map(parseVerifierKey));
  return keys.filter((key) => key !== null);
}

export type SignatureResult = "signed" | "unsupported" | "unsigned" | "forged" | "malformed";

/** Reads the three lines of a checkpoint, without its signatures. Returns null if they are malformed. */
export function parseCheckpoint(text: string): Checkpoint | null {
  const [origin, size, hash] = text.split("\n");
  if (!origin || !size || !hash || !/^(?:0|[1-9][0-9]{0,15})$/.test(size)) return null;
  try {
    const head = bytes(hash);
    if (head.length !== 32) return null;
    return { origin, size: Number(size), hash: hex(head), text };
  } catch {
    return null;
  }
}

/** Checks a checkpoint's signatures by pinned keys. */
export async function checkSignature(text: string, keys: VerifierKey[]): Promise<SignatureResult> {
  const end = text.lastIndexOf("\n\n");
  if (end < 0) return "malformed";
  const note = text.slice(0, end + 1);
  let result: SignatureResult = "unsigned";
  for (const line of text
    .slice(end + 2)
    .split("\n")
    .filter(Boolean)) {
    const [, name, encoded] = /^— (\S+) (\S+)$/.exec(line) ?? [];
    if (!name || !encoded) return "malformed";
    const signature = bytes(encoded);
    const key = keys.find((one) => one.name === name && one.id === hex(signature.slice(0, 4)));
    if (!key) continue;
    const verdict = await verifyEd25519(key.raw, signature.slice(4), ENCODER.encode(note));
    if (verdict === "unsupported") return "unsupported";
    if (!verdict || note.split("\n", 1)[0] !== key.name) return "forged";
    result = "signed";
  }
  return result;
}

async function verifyEd25519(
  raw: Uint8Array<ArrayBuffer>,
  signature: Uint8Array<ArrayBuffer>,
  data: Uint8Array<ArrayBuffer>,
): Promise<boolean | "unsupported"> {
  let key: CryptoKey;
  try {
    key = await crypto.subtle.importKey("raw", raw, "Ed25519", false, ["verify"]);
  } catch {
    return "unsupported";
  }
  return crypto.subtle.verify("Ed25519", key, signature, data);
}

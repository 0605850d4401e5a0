// Fetches the audit log and checks it: chain, signed head, and what this browser saw before.

import { send } from "../../api/client.ts";
import { asProblem, type Problem } from "../../api/problem.ts";
import type { AuditEntry } from "../../api/types.ts";
import {
  type Checkpoint,
  checkSignature,
  faultOf,
  NO_HASH,
  parseCheckpoint,
  parseVerifierKeys,
  type SignatureResult,
} from "../../logic/audit.ts";
import { type Pins, readPins, writePins } from "./pins.ts";

export interface Verification {
  state: "checking" | "verified" | "wrong" | "incomplete";
  entries: AuditEntry[];
  /** Entries checked; more than `entries` holds in a very long log. */
  checked: number;
  checkpoint: Checkpoint | null;
  signature: SignatureResult | null;
  vkeys: string;
  faults: string[];
  /** Keys of the answer that this browser has not seen before, if it has seen any. */
  newKeys: string[];
  /** What was pinned before this visit. */
  pinned: Pins | null;
  problem: Problem | null;
  at: number;
}

/** Entries kept for reading. Older ones of a longer log are checked and then dropped. */
const MOST_KEPT = 50_000;
const PROGRESS_EVERY = 500;

export const EMPTY: Verification = {
  state: "checking",
  entries: [],
  checked: 0,
  checkpoint: null,
  signature: null,
  vkeys: "",
  faults: [],
  newKeys: [],
  pinned: null,
  problem: null,
  at: 0,
};

/** Yields the entries of the NDJSON stream. */
async function* readEntries(response: Response): AsyncGenerator<AuditEntry> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = (await reader?.read()) ?? { value: undefined, done: true };
    const lines = (rest + (value ?? "")).split("\n");
    rest = done ? "" : (lines.pop() ?? "");
    for (const line of lines) if (line.trim()) yield JSON.parse(line) as AuditEntry;
    if (done) return;
  }
}

const text = async (path: string) => (await send(path, { accept: "text/plain" })).text();

interface Chain {
  entries: AuditEntry[];
  checked: number;
  faults: string[];
  hashAt: Map<number, string>;
}

/** Checks each entry against the one before it, and notes the hashes at `wanted` numbers. */
async function followChain(
  response: Response,
  wanted: Set<number>,
  onProgress: (checked: number) => void,
): Promise<Chain> {
  const chain: Chain = { entries: [], checked: 0, faults: [], hashAt: new Map([[0, NO_HASH]]) };
  let previous = NO_HASH;
  for await (const entry of readEntries(response)) {
    chain.checked += 1;
    const fault = await faultOf(entry, { seq: chain.checked, previous });
    if (fault) {
      chain.faults.push(`Entry ${entry.seq} ${fault}.`);
      chain.entries.push(entry);
      return chain;
    }
    previous = entry.hash;
    if (wanted.has(entry.seq)) chain.hashAt.set(entry.seq, entry.hash);
    chain.entries.push(entry);
    if (chain.entries.length > MOST_KEPT) chain.entries.shift();
    if (chain.checked % PROGRESS_EVERY === 0) onProgress(chain.checked);
  }
  return chain;
}

function compare(chain: Chain, checkpoint: Checkpoint, what: string): string | null {
  if (chain.checked < checkpoint.size)
    return `The log has ${chain.checked} entries, but ${what} counts ${checkpoint.size}: its end was cut off.`;
  if (chain.hashAt.get(checkpoint.size) !== checkpoint.hash)
    return `Entry ${checkpoint.size} is not the one of ${what}: the log was rewritten.`;
  return null;
}

const SIGNATURE_FAULTS: Partial<Record<SignatureResult, string>> = {
  forged: "The signature of the log's head is wrong for its key.",
  unsigned: "No key that this browser trusts has signed the log's head.",
  malformed: "The log's head is not a signed checkpoint.",
};

/** The checks, in the order of docs/concepts/audit.md: first the checkpoint, then the log, which is then at least as long. */
async function check(onProgress: (checked: number) => void): Promise<Verification> {
  const pinned = readPins();
  const note = await text("/audit/checkpoint");
  const vkeys = await text("/audit/key");
  const keys = await parseVerifierKeys(vkeys);
  const newKeys = pinned ? keys.map(({ line }) => line).filter((line) => !pinned.keys.includes(line)) : [];
  const trusted = pinned ? keys.filter(({ line }) => pinned.keys.includes(line)) : keys;
  const checkpoint = parseCheckpoint(note);
  const wanted = new Set([checkpoint?.size ?? 0, pinned?.checkpoint?.size ?? 0]);
  const chain = await followChain(await send("/audit", { accept: "application/x-ndjson" }), wanted, onProgress);
  const faults = [...chain.faults];
  const signature = await checkSignature(note, trusted);
  if (SIGNATURE_FAULTS[signature]) faults.push(SIGNATURE_FAULTS[signature]);
  if (checkpoint && chain.faults.length === 0) {
    const before = pinned?.checkpoint && { ...pinned.checkpoint, origin: checkpoint.origin };
    faults.push(
      ...[
        compare(chain, checkpoint, "the signed head"),
        before ? compare(chain, before, "the head of your last visit") : null,
      ].filter((fault) => fault !== null),
    );
  }
  const state = faults.length > 0 ? "wrong" : signature === "unsupported" ? "incomplete" : "verified";
  return { ...EMPTY, ...chain, state, faults, checkpoint, signature, vkeys, newKeys, pinned, at: Date.now() };
}

/** Pins what was verified, for the next visit. A wrong log changes nothing. */
function pin(result: Verification) {
  if (result.state === "wrong" || !result.checkpoint) return;
  const { size, hash, text: note } = result.checkpoint;
  const keys = result.pinned?.keys ?? result.vkeys.split("\n").filter(Boolean);
  writePins({ keys, checkpoint: { size, hash, text: note, at: result.at } });
}

export async function verify(onProgress: (checked: number) => void): Promise<Verification> {
  try {
    const result = await check(onProgress);
    pin(result);
    return result;
  } catch (error) {
    return { ...EMPTY, state: "incomplete", problem: asProblem(error), at: Date.now() };
  }
}

/** Trusts keys that a person has compared with what the operator announced. */
export function trustKeys(result: Verification) {
  writePins({
    keys: [...new Set([...(result.pinned?.keys ?? []), ...result.vkeys.split("\n").filter(Boolean)])],
    checkpoint: result.pinned?.checkpoint ?? null,
  });
}

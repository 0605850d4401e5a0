// Receipts of changes made in this visit, so that a key's page can count down until a change holds.

import { serverNow } from "../../api/client.ts";
import type { Receipt } from "../../api/types.ts";
import { Observable } from "../../logic/observable.ts";

export interface StoredReceipt extends Receipt {
  changedAt: string | null;
  receivedAt: number;
  outcome: string;
}

export const receipts = new Observable<Map<string, StoredReceipt>>(new Map());

/** Keeps the receipt of a change. `changedAt` is the authority's time of it, if the answer says it. */
export function keepReceipt(
  keyId: string,
  { effective_by, guaranteed_by }: Receipt,
  outcome: string,
  changedAt: string | null,
) {
  receipts.set(
    new Map(receipts.value).set(keyId, { effective_by, guaranteed_by, outcome, changedAt, receivedAt: serverNow() }),
  );
}

import { useRef, useState } from "preact/hooks";
import { call, newIdempotencyKey } from "../../api/client.ts";
import { asProblem, type Problem } from "../../api/problem.ts";
import type { Key, KeyRotated } from "../../api/types.ts";
import { useConsole } from "../../app/context.ts";
import { go, href } from "../../app/router.ts";
import { useNow } from "../../logic/now.ts";
import { momentWithLocal } from "../../logic/time.ts";
import { Button } from "../../parts/button.tsx";
import { Choices } from "../../parts/choices.tsx";
import { Dialog } from "../../parts/dialog.tsx";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { Delivered } from "../issue/delivered.tsx";
import { type Delivery, DeliveryField } from "../issue/delivery-field.tsx";
import { keepReceipt } from "./receipts.ts";
import { RecentUse } from "./recent-use.tsx";

export const OVERLAPS: [seconds: number, text: string][] = [
  [0, "Now"],
  [3_600, "1 hour"],
  [86_400, "24 hours"],
  [604_800, "7 days"],
  [2_592_000, "30 days"],
];

/** When an overlap ends: never after the end that the key had before. */
export function OverlapField({
  of,
  seconds,
  onSeconds,
  choices = OVERLAPS,
}: {
  of: Key;
  seconds: number;
  onSeconds: (seconds: number) => void;
  choices?: typeof OVERLAPS;
}) {
  const now = useNow(1_000);
  const end = Math.min(now + seconds * 1_000, Date.parse(of.expires_at));
  return (
    <Choices
      legend="The old key ends after"
      choices={choices.map(([value, label]) => ({ value: String(value), label }))}
      value={String(seconds)}
      onValue={(value) => onSeconds(Number(value))}
      hint={
        seconds === 0
          ? "The old key stops within the revocation bound. Only for a key that nothing uses."
          : `Both keys work until ${momentWithLocal(end)}.`
      }
    />
  );
}

export function RotateDialog({ of, onClose }: { of: Key; onClose: () => void }) {
  const { capabilities } = useConsole();
  const takesClaim = capabilities.field("RotateKey", "deliver");
  const [seconds, setSeconds] = useState(86_400);
  const [delivery, setDelivery] = useState<Delivery>(takesClaim ? "claim" : "show");
  const [hours, setHours] = useState(24);
  const [rotated, setRotated] = useState<KeyRotated | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const retryKey = useRef(newIdempotencyKey());
  const byClaim = takesClaim && delivery === "claim";
  const submit = async () => {
    if (rotated) return;
    setBusy(true);
    setProblem(null);
    try {
      const body = { overlap_seconds: seconds, ...(byClaim && { deliver: "claim", claim_hours: hours }) };
      const answer = await call<KeyRotated>(`/keys/${of.id}/rotate`, { body, idempotencyKey: retryKey.current });
      if (seconds === 0 && answer.effective_by && answer.guaranteed_by) {
        keepReceipt(
          of.id,
          { effective_by: answer.effective_by, guaranteed_by: answer.guaranteed_by },
          "the old key is off everywhere",
          answer.retiring?.expires_at ?? null,
        );
      }
      setRotated(answer);
    } catch (error) {
      const refused = asProblem(error);
      setProblem(refused);
      if (refused.status > 0 && refused.status < 500) retryKey.current = newIdempotencyKey();
    }
    setBusy(false);
  };
  if (rotated) {
    return (
      <Dialog title={rotated.claim ? "Send the claim link" : "Store the new key"} wide>
        <Delivered
          of={rotated.key}
          apiKey={rotated.api_key}
          claim={rotated.claim}
          onDone={() => go(href("/key", { id: rotated.key.id, tab: "rotation" }))}
        />
      </Dialog>
    );
  }
  return (
    <Dialog
      title={`Rotate ${of.name}`}
      onClose={onClose}
      onSubmit={submit}
      wide
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" busy={busy}>
            Rotate key
          </Button>
        </>
      }
    >
      <p>
        A successor with the same name, rights and length of life. Both keys work during the overlap, so that the
        integration switches without an outage.
      </p>
      <RecentUse of={of} />
      <ProblemBox problem={problem} />
      <OverlapField of={of} seconds={seconds} onSeconds={setSeconds} />
      {takesClaim && <DeliveryField delivery={delivery} onDelivery={setDelivery} hours={hours} onHours={setHours} />}
      {byClaim && (
        <p class="small muted">
          The overlap begins when the new key is claimed. Until then the old key stays as it is.
        </p>
      )}
    </Dialog>
  );
}

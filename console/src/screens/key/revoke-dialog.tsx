import { useState } from "preact/hooks";
import { call } from "../../api/client.ts";
import { asProblem, type Problem } from "../../api/problem.ts";
import type { Key, KeyChanged } from "../../api/types.ts";
import { Button } from "../../parts/button.tsx";
import { Dialog } from "../../parts/dialog.tsx";
import { errorOf, problemElsewhere, TextArea } from "../../parts/field.tsx";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { confirms, TypeToConfirm } from "../../parts/type-to-confirm.tsx";
import { keepReceipt } from "./receipts.ts";
import { RecentUse } from "./recent-use.tsx";

export function RevokeDialog({ of, onClose, onDone }: { of: Key; onClose: () => void; onDone: () => void }) {
  const [reason, setReason] = useState("");
  const [typed, setTyped] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async () => {
    if (!reason.trim() || !confirms(typed, of.integration)) return;
    setBusy(true);
    setProblem(null);
    try {
      const answer = await call<KeyChanged>(`/keys/${of.id}/revoke`, { body: { reason: reason.trim() } });
      keepReceipt(of.id, answer, "off everywhere", answer.key.revoked_at);
      onDone();
    } catch (error) {
      setProblem(asProblem(error));
      setBusy(false);
    }
  };
  return (
    <Dialog
      title={`Revoke ${of.name}`}
      onClose={onClose}
      onSubmit={submit}
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button
            kind="danger-fill"
            type="submit"
            busy={busy}
            disabled={!reason.trim() || !confirms(typed, of.integration)}
          >
            Revoke key
          </Button>
        </>
      }
    >
      <p>
        Revoking is final. <strong class="strong mono">{of.integration}</strong> stops working with this key within the
        revocation bound. To replace a key without an outage, rotate it instead.
      </p>
      <RecentUse of={of} />
      <ProblemBox problem={problemElsewhere(problem, ["reason"])} />
      <TextArea
        label="Reason"
        rows={2}
        value={reason}
        onValue={setReason}
        error={errorOf(problem, "reason")}
        maxLength={500}
        hint="It is kept with the key and in the audit log."
        required
        autofocus
      />
      <TypeToConfirm text={of.integration} value={typed} onValue={setTyped} />
    </Dialog>
  );
}

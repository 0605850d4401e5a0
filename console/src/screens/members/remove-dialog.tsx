import { useState } from "preact/hooks";
import { call } from "../../api/client.ts";
import { asProblem, type Problem } from "../../api/problem.ts";
import type { Member } from "../../api/types.ts";
import { say } from "../../app/notices.ts";
import { Button } from "../../parts/button.tsx";
import { Dialog } from "../../parts/dialog.tsx";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { confirms, TypeToConfirm } from "../../parts/type-to-confirm.tsx";

export function RemoveDialog({ of, onClose, onDone }: { of: Member; onClose: () => void; onDone: () => void }) {
  const [typed, setTyped] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async () => {
    if (!confirms(typed, of.email)) return;
    setBusy(true);
    setProblem(null);
    try {
      await call(`/members/${of.id}/revoke`, { method: "POST", body: {} });
      say(`${of.name} is no longer a member.`);
      onDone();
    } catch (error) {
      setProblem(asProblem(error));
      setBusy(false);
    }
  };
  return (
    <Dialog
      title={`Remove ${of.name}`}
      onClose={onClose}
      onSubmit={submit}
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="danger-fill" type="submit" busy={busy} disabled={!confirms(typed, of.email)}>
            Remove member
          </Button>
        </>
      }
    >
      <p>
        Their credential and their session end at once and for good. Keys that they issued go on working. To let them in
        again, add them anew.
      </p>
      <ProblemBox problem={problem} />
      <TypeToConfirm text={of.email} value={typed} onValue={setTyped} />
    </Dialog>
  );
}

import { useState } from "preact/hooks";
import { call } from "../../api/client.ts";
import { asProblem, type Problem } from "../../api/problem.ts";
import type { Key, KeyChanged } from "../../api/types.ts";
import { useConsole } from "../../app/context.ts";
import { say } from "../../app/notices.ts";
import { count } from "../../logic/words.ts";
import { Button } from "../../parts/button.tsx";
import { Dialog } from "../../parts/dialog.tsx";
import { TextArea } from "../../parts/field.tsx";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { confirms, TypeToConfirm } from "../../parts/type-to-confirm.tsx";
import { OpenIncident } from "../incidents/open-incident.tsx";

interface Props {
  keys: Key[];
  onClose: () => void;
  /** With the address of what was made, if there is one to open. */
  onDone: (address: string | null) => void;
}

/** Revokes several keys: as one incident, or one call for each key where the API has no incidents. */
export function BulkRevoke(props: Props) {
  const { rights } = useConsole();
  return rights.openIncident ? <OpenIncident {...props} /> : <RevokeEach {...props} />;
}

function RevokeEach({ keys, onClose, onDone }: Props) {
  const [reason, setReason] = useState("");
  const [typed, setTyped] = useState("");
  const [done, setDone] = useState(0);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const text = count(keys.length, "key");
  const submit = async () => {
    setBusy(true);
    setProblem(null);
    try {
      for (const [at, key] of keys.entries()) {
        if (at < done) continue;
        await call<KeyChanged>(`/keys/${key.id}/revoke`, { body: { reason: reason.trim() } });
        setDone(at + 1);
      }
      say(`Revoked ${text}.`);
      onDone(null);
    } catch (error) {
      setProblem(asProblem(error));
    }
    setBusy(false);
  };
  return (
    <Dialog
      title={`Revoke ${text}`}
      onClose={busy ? undefined : onClose}
      onSubmit={submit}
      foot={
        <>
          <Button onClick={onClose} disabled={busy}>
            Cancel
          </Button>
          <Button kind="danger-fill" type="submit" busy={busy} disabled={!reason.trim() || !confirms(typed, text)}>
            Revoke {text}
          </Button>
        </>
      }
    >
      <p>Revoking is final. Whatever uses these keys stops within the revocation bound.</p>
      <ul class="stack-4 small">
        {keys.slice(0, 8).map((key) => (
          <li key={key.id}>
            {key.name} <span class="muted mono">{key.id}</span>
          </li>
        ))}
        {keys.length > 8 && <li class="muted">and {keys.length - 8} more</li>}
      </ul>
      {busy && <progress max={keys.length} value={done} aria-label={`${done} of ${keys.length} revoked`} />}
      <ProblemBox problem={problem} />
      <TextArea
        label="Reason"
        value={reason}
        onValue={setReason}
        maxLength={500}
        hint="It is kept with each key and in the audit log."
        required
      />
      <TypeToConfirm text={text} value={typed} onValue={setTyped} />
    </Dialog>
  );
}

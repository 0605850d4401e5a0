import { useState } from "preact/hooks";
import { call } from "../../api/client.ts";
import { asProblem, type Problem } from "../../api/problem.ts";
import type { Incident, Key } from "../../api/types.ts";
import { go, href } from "../../app/router.ts";
import { Button } from "../../parts/button.tsx";
import { Dialog } from "../../parts/dialog.tsx";
import { errorOf, problemElsewhere, TextArea } from "../../parts/field.tsx";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { confirms, TypeToConfirm } from "../../parts/type-to-confirm.tsx";
import { keepClaims } from "../incidents/claims.ts";
import { type Kind, KindField, ReplaceField } from "../incidents/fields.tsx";
import { RecentUse } from "./recent-use.tsx";

/** Opens the incident of one key: revokes it at once and prepares its replacement. */
export function CompromisedDialog({ of, onClose }: { of: Key; onClose: () => void }) {
  const [kind, setKind] = useState<Kind>("exposed");
  const [note, setNote] = useState("");
  const [replace, setReplace] = useState<"claim" | "none">("claim");
  const [typed, setTyped] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const ready = Boolean(note.trim()) && confirms(typed, of.integration);
  const submit = async () => {
    if (!ready) return;
    setBusy(true);
    setProblem(null);
    try {
      const { incident } = await call<{ incident: Incident }>(`/keys/${of.id}/compromise`, {
        body: { kind, note: note.trim(), replace },
      });
      keepClaims(incident);
      go(href("/incident", { id: incident.id }));
    } catch (error) {
      setProblem(asProblem(error));
      setBusy(false);
    }
  };
  return (
    <Dialog
      title={`${of.name} is compromised`}
      onClose={onClose}
      onSubmit={submit}
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="danger-fill" type="submit" busy={busy} disabled={!ready}>
            Revoke key and open incident
          </Button>
        </>
      }
    >
      <p>
        The key is revoked at once, and an incident keeps what remains to be done: replace the key, update the systems
        that used it, review what it did.
      </p>
      <RecentUse of={of} />
      <ProblemBox problem={problemElsewhere(problem, ["note"])} />
      <KindField kind={kind} onKind={setKind} />
      <TextArea
        label="What happened"
        rows={2}
        value={note}
        onValue={setNote}
        error={errorOf(problem, "note")}
        maxLength={500}
        hint="Where the key was seen, by whom, and since when."
        required
      />
      <ReplaceField replace={replace} onReplace={setReplace} />
      <TypeToConfirm text={of.integration} value={typed} onValue={setTyped} />
    </Dialog>
  );
}

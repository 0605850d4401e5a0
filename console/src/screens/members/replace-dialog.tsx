import { useRef, useState } from "preact/hooks";
import { call, newIdempotencyKey } from "../../api/client.ts";
import { asProblem, type Problem } from "../../api/problem.ts";
import type { Member, MemberMade } from "../../api/types.ts";
import { Button } from "../../parts/button.tsx";
import { Dialog } from "../../parts/dialog.tsx";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { CredentialAgain } from "./credential-again.tsx";
import { CredentialDialog } from "./invite-dialog.tsx";

/** Replaces a member's credential. */
export function ReplaceDialog({
  of,
  own,
  onClose,
  onDone,
}: {
  of: Member;
  own: boolean;
  onClose: () => void;
  onDone: () => void;
}) {
  const [credential, setCredential] = useState("");
  const [made, setMade] = useState<MemberMade | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const retryKey = useRef(newIdempotencyKey());
  const submit = async () => {
    if (made) return;
    setBusy(true);
    setProblem(null);
    try {
      setMade(
        await call<MemberMade>(`/members/${of.id}/rotate`, {
          method: "POST",
          body: {},
          confirm: credential.trim(),
          idempotencyKey: retryKey.current,
        }),
      );
    } catch (error) {
      setProblem(asProblem(error));
    }
    setBusy(false);
  };
  if (made)
    return (
      <CredentialDialog
        made={made}
        title={own ? "Your new credential" : `New credential of ${of.name}`}
        onDone={onDone}
      />
    );
  return (
    <Dialog
      title={own ? "Replace your credential" : `Replace the credential of ${of.name}`}
      onClose={onClose}
      onSubmit={submit}
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" busy={busy} disabled={!credential.trim()}>
            Replace credential
          </Button>
        </>
      }
    >
      <p>
        {own
          ? "The old one works until you first use the new one, for ten minutes at most. Sign in with the new one afterwards."
          : "The old one is refused at once, and their session ends."}
      </p>
      <ProblemBox problem={problem} />
      <CredentialAgain value={credential} onValue={setCredential} />
    </Dialog>
  );
}

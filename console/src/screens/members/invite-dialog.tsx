import { useRef, useState } from "preact/hooks";
import { call, newIdempotencyKey } from "../../api/client.ts";
import { asProblem, type Problem } from "../../api/problem.ts";
import type { MemberMade, Role } from "../../api/types.ts";
import { Button } from "../../parts/button.tsx";
import { Choices } from "../../parts/choices.tsx";
import { Dialog } from "../../parts/dialog.tsx";
import { errorOf, problemElsewhere, TextField } from "../../parts/field.tsx";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { SecretOnce } from "../../parts/secret-once.tsx";
import { CredentialAgain } from "./credential-again.tsx";
import { environmentsOf, RoleField, type Where, WhereField } from "./fields.tsx";

/** A new or replaced credential, shown once. */
export function CredentialDialog({ made, title, onDone }: { made: MemberMade; title: string; onDone: () => void }) {
  return (
    <Dialog title={title} wide>
      <p>
        This is the credential of {made.member.name}. Hand it over on a channel that only they read, such as a shared
        vault. It is shown once; if it gets lost, replace it.
      </p>
      <SecretOnce secret={made.api_key} what="credential" fileName={`${made.member.id}.txt`} onStored={onDone} />
    </Dialog>
  );
}

export function InviteDialog({ onClose, onDone }: { onClose: () => void; onDone: () => void }) {
  const [name, setName] = useState("");
  const [email, setEmail] = useState("");
  const [role, setRole] = useState<Role>("manager");
  const [where, setWhere] = useState<Where>("all");
  const [days, setDays] = useState("90");
  const [credential, setCredential] = useState("");
  const [made, setMade] = useState<MemberMade | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const retryKey = useRef(newIdempotencyKey());
  const ready = Boolean(name.trim() && email.trim() && credential.trim());
  const submit = async () => {
    if (!ready || made) return;
    setBusy(true);
    setProblem(null);
    try {
      const body = {
        name: name.trim(),
        email: email.trim(),
        role,
        environments: environmentsOf(where),
        expires_in_days: Number(days),
      };
      setMade(
        await call<MemberMade>("/members", { body, confirm: credential.trim(), idempotencyKey: retryKey.current }),
      );
    } catch (error) {
      const refused = asProblem(error);
      setProblem(refused);
      if (refused.status > 0 && refused.status < 500) retryKey.current = newIdempotencyKey();
    }
    setBusy(false);
  };
  if (made) return <CredentialDialog made={made} title={`${made.member.name} is a member`} onDone={onDone} />;
  return (
    <Dialog
      title="Add a member"
      wide
      onClose={onClose}
      onSubmit={submit}
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" busy={busy} disabled={!ready}>
            Add member and show credential
          </Button>
        </>
      }
    >
      <ProblemBox problem={problemElsewhere(problem, ["name", "email"])} />
      <div class="form-grid">
        <TextField
          label="Name"
          value={name}
          onValue={setName}
          error={errorOf(problem, "name")}
          maxLength={100}
          autocomplete="off"
          required
          autofocus
        />
        <TextField
          label="E-mail address"
          type="email"
          value={email}
          onValue={setEmail}
          error={errorOf(problem, "email")}
          maxLength={254}
          autocomplete="off"
          required
        />
      </div>
      <RoleField role={role} onRole={setRole} />
      <WhereField where={where} onWhere={setWhere} />
      <Choices
        legend="The credential works for"
        choices={["30", "90", "180", "365"].map((value) => ({ value, label: `${value} days` }))}
        value={days}
        onValue={setDays}
      />
      <CredentialAgain value={credential} onValue={setCredential} />
    </Dialog>
  );
}

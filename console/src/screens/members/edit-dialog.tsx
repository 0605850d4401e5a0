import { useState } from "preact/hooks";
import { call } from "../../api/client.ts";
import { asProblem, type Problem } from "../../api/problem.ts";
import type { Member } from "../../api/types.ts";
import { Button } from "../../parts/button.tsx";
import { Dialog } from "../../parts/dialog.tsx";
import { errorOf, problemElsewhere, TextField } from "../../parts/field.tsx";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { CredentialAgain } from "./credential-again.tsx";
import { environmentsOf, RoleField, WhereField, whereOf } from "./fields.tsx";

/** Whether the API wants the credential again: the change would outlast a stolen session, as a new credential would. */
function needsCredential(of: Member, changes: Partial<Member>) {
  const wider = changes.environments === null || changes.environments?.some((one) => !of.environments?.includes(one));
  return changes.email !== undefined || changes.role === "owner" || (of.environments !== null && Boolean(wider));
}

export function EditDialog({ of, onClose, onDone }: { of: Member; onClose: () => void; onDone: () => void }) {
  const [name, setName] = useState(of.name);
  const [email, setEmail] = useState(of.email);
  const [role, setRole] = useState(of.role);
  const [where, setWhere] = useState(whereOf(of.environments));
  const [credential, setCredential] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const changes = {
    ...(name.trim() !== of.name && { name: name.trim() }),
    ...(email.trim() !== of.email && { email: email.trim() }),
    ...(role !== of.role && { role }),
    ...(where !== whereOf(of.environments) && { environments: environmentsOf(where) }),
  };
  const asksAgain = needsCredential(of, changes);
  const isReady = Object.keys(changes).length > 0 && (!asksAgain || credential.trim() !== "");
  const submit = async () => {
    if (!isReady) return;
    setBusy(true);
    setProblem(null);
    try {
      await call(`/members/${of.id}`, {
        method: "PATCH",
        body: changes,
        revision: of.revision,
        confirm: asksAgain ? credential.trim() : undefined,
      });
      onDone();
    } catch (error) {
      setProblem(asProblem(error));
      setBusy(false);
    }
  };
  return (
    <Dialog
      title={`Change ${of.name}`}
      wide
      onClose={onClose}
      onSubmit={submit}
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" busy={busy} disabled={!isReady}>
            Save changes
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
          required
        />
      </div>
      <RoleField role={role} onRole={setRole} />
      <WhereField where={where} onWhere={setWhere} />
      {asksAgain && <CredentialAgain value={credential} onValue={setCredential} />}
    </Dialog>
  );
}

import { useState } from "preact/hooks";
import { call } from "../../api/client.ts";
import { asProblem, type Problem } from "../../api/problem.ts";
import type { Member } from "../../api/types.ts";
import { Button } from "../../parts/button.tsx";
import { Dialog } from "../../parts/dialog.tsx";
import { errorOf, problemElsewhere, TextField } from "../../parts/field.tsx";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { environmentsOf, RoleField, WhereField, whereOf } from "./fields.tsx";

export function EditDialog({ of, onClose, onDone }: { of: Member; onClose: () => void; onDone: () => void }) {
  const [name, setName] = useState(of.name);
  const [email, setEmail] = useState(of.email);
  const [role, setRole] = useState(of.role);
  const [where, setWhere] = useState(whereOf(of.environments));
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const changes = {
    ...(name.trim() !== of.name && { name: name.trim() }),
    ...(email.trim() !== of.email && { email: email.trim() }),
    ...(role !== of.role && { role }),
    ...(where !== whereOf(of.environments) && { environments: environmentsOf(where) }),
  };
  const isChanged = Object.keys(changes).length > 0;
  const submit = async () => {
    if (!isChanged) return;
    setBusy(true);
    setProblem(null);
    try {
      await call(`/members/${of.id}`, { method: "PATCH", body: changes, revision: of.revision });
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
          <Button kind="primary" type="submit" busy={busy} disabled={!isChanged}>
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
    </Dialog>
  );
}

import { useState } from "preact/hooks";
import { asProblem, type Problem } from "../api/problem.ts";
import { useObservable } from "../logic/observable.ts";
import { Button } from "../parts/button.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { TextField } from "../parts/field.tsx";
import { ProblemBox } from "../parts/problem-box.tsx";
import { useConsole } from "./context.ts";
import { ended, session, signInOver } from "./session.ts";

/** The session is over: sign in over the open screen, whose forms stay as they are. */
export function SignInAgain() {
  const over = useObservable(ended);
  const { member } = useConsole();
  const [credential, setCredential] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  if (!over) return null;
  const submit = async () => {
    setBusy(true);
    setProblem(null);
    try {
      const same = await signInOver(credential);
      setCredential("");
      over.resume(same);
      // Somebody else's work must not go on under another name.
      if (!same) location.reload();
    } catch (error) {
      setProblem(asProblem(error));
    }
    setBusy(false);
  };
  const leave = () => {
    over.resume(false);
    session.set({ state: "signed-out" });
  };
  return (
    <Dialog
      title="Your session has ended"
      onSubmit={submit}
      foot={
        <>
          <Button onClick={leave}>Leave</Button>
          <Button kind="primary" type="submit" busy={busy} disabled={!credential.trim()}>
            Sign in and continue
          </Button>
        </>
      }
    >
      <p>Sign in again as {member.name}. What you have entered on this page stays.</p>
      <ProblemBox problem={problem} />
      <TextField
        label="Credential"
        type="password"
        autocomplete="current-password"
        value={credential}
        onValue={setCredential}
        required
        autofocus
      />
    </Dialog>
  );
}

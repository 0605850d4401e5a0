import { useEffect, useState } from "preact/hooks";
import { asProblem, type Problem } from "../api/problem.ts";
import { isVouched, resume, signIn } from "../app/session.ts";
import { Button } from "../parts/button.tsx";
import { TextField } from "../parts/field.tsx";
import { Form } from "../parts/form.tsx";
import { Logo } from "../parts/icon.tsx";
import { ProblemBox } from "../parts/problem-box.tsx";

export function SignIn() {
  const [credential, setCredential] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const vouched = isVouched();
  useEffect(() => {
    document.title = "Sign in · Keyward";
  }, []);
  const enter = async (how: () => Promise<void>) => {
    setBusy(true);
    setProblem(null);
    try {
      await how();
    } catch (error) {
      setProblem(asProblem(error));
      setBusy(false);
    }
  };
  const submit = () => enter(() => signIn(credential));
  return (
    <main class="centre">
      <div class="card-page">
        <div class="row">
          <Logo />
          <h1 tabIndex={-1}>Sign in to Keyward</h1>
        </div>
        <div class="panel">
          <Form class="panel-body stack" onSubmit={submit}>
            <ProblemBox problem={problem} />
            {vouched && (
              <>
                <Button kind="primary" onClick={() => enter(resume)} busy={busy}>
                  Sign in with your company account
                </Button>
                <span class="small muted">or</span>
              </>
            )}
            {/* Password managers store a credential under a user name. */}
            <input type="text" name="username" autocomplete="username" value={location.host} hidden readOnly />
            <TextField
              label="Credential"
              hint="It begins with a prefix and “admin”, such as wafl_admin_… An owner gave it to you. The browser does not keep it: it becomes a session of 15 idle minutes, 8 hours at most."
              type="password"
              name="password"
              autocomplete="current-password"
              value={credential}
              onValue={setCredential}
              required
              autofocus
            />
            <div>
              <Button kind={vouched ? undefined : "primary"} type="submit" busy={busy} disabled={!credential.trim()}>
                Sign in
              </Button>
            </div>
          </Form>
        </div>
        <p class="small muted">
          Lost your credential? An owner can replace it under Members. The last owner uses the deployment's bootstrap
          token.
        </p>
      </div>
    </main>
  );
}

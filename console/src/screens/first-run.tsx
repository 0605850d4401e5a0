import { useEffect, useRef, useState } from "preact/hooks";
import { call, newIdempotencyKey } from "../api/client.ts";
import { asProblem, type Problem } from "../api/problem.ts";
import type { MemberMade } from "../api/types.ts";
import { resume, session, signIn } from "../app/session.ts";
import { DAY_MS, date } from "../logic/time.ts";
import { Button } from "../parts/button.tsx";
import { errorOf, problemElsewhere, TextField } from "../parts/field.tsx";
import { Form } from "../parts/form.tsx";
import { Logo } from "../parts/icon.tsx";
import { ProblemBox } from "../parts/problem-box.tsx";
import { SecretOnce } from "../parts/secret-once.tsx";

function Stored({ made }: { made: MemberMade }) {
  const [problem, setProblem] = useState<Problem | null>(null);
  const enter = async () => {
    try {
      await signIn(made.api_key);
    } catch (error) {
      setProblem(asProblem(error));
    }
  };
  const days = Math.round((Date.parse(made.member.expires_at) - Date.now()) / DAY_MS);
  return (
    <>
      <p>
        You are the first owner, {made.member.name}. This is your credential: with it you sign in here, with the command
        line and with the API until {date(Date.parse(made.member.expires_at))}, {days} days from now. It is shown once.
      </p>
      <ProblemBox problem={problem} retry={enter} />
      <SecretOnce secret={made.api_key} what="credential" fileName="keyward-credential.txt" onStored={enter}>
        <p class="small muted">Keep it in a password manager, not in a chat or a repository.</p>
      </SecretOnce>
    </>
  );
}

/** Makes the first owner with the bootstrap token that the address carried. */
export function FirstRun({ token }: { token: string }) {
  const [name, setName] = useState("");
  const [email, setEmail] = useState("");
  const [made, setMade] = useState<MemberMade | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const retryKey = useRef(newIdempotencyKey());
  useEffect(() => {
    document.title = "First run · Keyward";
  }, []);
  const submit = async () => {
    setBusy(true);
    setProblem(null);
    try {
      const body = { name: name.trim(), email: email.trim() };
      setMade(await call<MemberMade>("/bootstrap", { body, bearer: token, idempotencyKey: retryKey.current }));
    } catch (error) {
      const refused = asProblem(error);
      setProblem(refused);
      // Refused, not lost: another attempt is a new request.
      if (refused.status > 0 && refused.status < 500) retryKey.current = newIdempotencyKey();
    }
    setBusy(false);
  };
  const signInInstead = () => {
    session.set({ state: "loading" });
    resume();
  };
  return (
    <main class="centre">
      <div class="card-page wide">
        <div class="row">
          <Logo />
          <h1 tabIndex={-1}>{made ? "Store your credential" : "Make the first owner"}</h1>
        </div>
        <div class="panel">
          <div class="panel-body stack">
            {made ? (
              <Stored made={made} />
            ) : (
              <Form class="stack" onSubmit={submit}>
                <p>This deployment has no owner yet. An owner adds the other members and may do everything else.</p>
                <ProblemBox problem={problemElsewhere(problem, ["name", "email"])} />
                <TextField
                  label="Name"
                  value={name}
                  onValue={setName}
                  error={errorOf(problem, "name")}
                  autocomplete="name"
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
                  autocomplete="email"
                  maxLength={254}
                  required
                />
                <div class="row">
                  <Button kind="primary" type="submit" busy={busy} disabled={!name.trim() || !email.trim()}>
                    Make the owner
                  </Button>
                  <Button kind="quiet" onClick={signInInstead}>
                    Sign in instead
                  </Button>
                </div>
              </Form>
            )}
          </div>
        </div>
      </div>
    </main>
  );
}

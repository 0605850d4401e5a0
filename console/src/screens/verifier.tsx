import { sayProblem } from "../app/notices.ts";
import { signOut } from "../app/session.ts";
import { Button } from "../parts/button.tsx";
import { Logo } from "../parts/icon.tsx";

/** A verifier is a machine: there is nothing here for it. */
export function Verifier() {
  return (
    <main class="centre">
      <div class="card-page">
        <div class="row">
          <Logo />
          <h1 tabIndex={-1}>Nothing to see for this role</h1>
        </div>
        <p>
          This credential belongs to a verifier: a machine that asks Keyward about keys presented to it. It may not read
          keys, members or the audit log, so the console has nothing to show. Sign in with a person's credential.
        </p>
        <div>
          <Button kind="primary" onClick={() => signOut().catch(sayProblem)}>
            Sign out
          </Button>
        </div>
      </div>
    </main>
  );
}

import type { ComponentType } from "preact";
import { useMemo } from "preact/hooks";
import { useObservable } from "../logic/observable.ts";
import { Bars } from "../parts/bars.tsx";
import { Button } from "../parts/button.tsx";
import { Logo } from "../parts/icon.tsx";
import { ProblemBox } from "../parts/problem-box.tsx";
import { FirstRun } from "../screens/first-run.tsx";
import { Keys } from "../screens/keys/keys.tsx";
import { NoScreen } from "../screens/no-screen.tsx";
import { Overview } from "../screens/overview/overview.tsx";
import { SignIn } from "../screens/sign-in.tsx";
import { Verifier } from "../screens/verifier.tsx";
import { ConsoleContext } from "./context.ts";
import { Frame } from "./frame.tsx";
import { lazy } from "./lazy.tsx";
import { usePlace } from "./router.ts";
import { isOffered } from "./screens.ts";
import { resume, rightsOf, type SignedIn, session } from "./session.ts";
import { SignInAgain } from "./sign-in-again.tsx";

/** The list and the overview come with the first load, the other screens when they are opened. */
const SCREENS: Record<string, ComponentType> = {
  "/": Overview,
  "/keys": Keys,
  "/key": lazy(() => import("../screens/key/key.tsx").then((module) => module.KeyScreen)),
  "/issue": lazy(() => import("../screens/issue/issue.tsx").then((module) => module.Issue)),
  "/incidents": lazy(() => import("../screens/incidents/incidents.tsx").then((module) => module.Incidents)),
  "/incident": lazy(() => import("../screens/incidents/incident.tsx").then((module) => module.Incident)),
  "/leaks": lazy(() => import("../screens/leaks/leaks.tsx").then((module) => module.Leaks)),
  "/audit": lazy(() => import("../screens/audit/audit.tsx").then((module) => module.Audit)),
  "/members": lazy(() => import("../screens/members/members.tsx").then((module) => module.Members)),
  "/events": lazy(() => import("../screens/events/events.tsx").then((module) => module.Events)),
  "/settings": lazy(() => import("../screens/settings/settings.tsx").then((module) => module.Settings)),
};

function Console({ state }: { state: SignedIn }) {
  const { path } = usePlace();
  const { member, capabilities } = state;
  const console = useMemo(
    () => ({ member, capabilities, rights: rightsOf({ member, capabilities }) }),
    [member, capabilities],
  );
  const Screen = isOffered(path, console.rights) ? (SCREENS[path] ?? NoScreen) : NoScreen;
  return (
    <ConsoleContext.Provider value={console}>
      {member.role === "verifier" ? (
        <Verifier />
      ) : (
        <Frame expiresAt={state.expiresAt}>
          <Screen />
        </Frame>
      )}
      <SignInAgain />
    </ConsoleContext.Provider>
  );
}

export function App() {
  const state = useObservable(session);
  return (
    <>
      {state.state === "loading" && (
        <main class="centre" aria-busy="true">
          <span class="muted" role="status">
            <Logo />
            <span class="hidden-label">Loading</span>
          </span>
        </main>
      )}
      {state.state === "failed" && (
        <main class="centre">
          <div class="card-page stack">
            <h1>The console cannot start</h1>
            <ProblemBox problem={state.problem} />
            <div>
              <Button onClick={resume}>Try again</Button>
            </div>
          </div>
        </main>
      )}
      {state.state === "signed-out" && <SignIn />}
      {state.state === "first-run" && <FirstRun token={state.token} />}
      {state.state === "signed-in" && <Console state={state} />}
      <Bars />
    </>
  );
}

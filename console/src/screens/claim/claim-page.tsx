import { useEffect, useState } from "preact/hooks";
import { call } from "../../api/client.ts";
import { asProblem, type Problem } from "../../api/problem.ts";
import type { ClaimShown, Key, KeyChanged, KeyIssued } from "../../api/types.ts";
import { scopesInWords } from "../../logic/rights.ts";
import { Button } from "../../parts/button.tsx";
import { EnvironmentChip } from "../../parts/chip.tsx";
import { Logo } from "../../parts/icon.tsx";
import { KeyId } from "../../parts/key-id.tsx";
import { Notice } from "../../parts/notice.tsx";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { Receipt } from "../../parts/receipt.tsx";
import { SecretOnce } from "../../parts/secret-once.tsx";
import { Skeleton } from "../../parts/skeleton.tsx";
import { DateOf, Time } from "../../parts/time.tsx";
import { confirms, TypeToConfirm } from "../../parts/type-to-confirm.tsx";
import { forgetLink, type Link } from "./link.ts";

type State =
  | { at: "looking" }
  | { at: "no-link" }
  | { at: "gone" }
  | { at: "open"; shown: ClaimShown }
  | { at: "taken"; shown: ClaimShown | null }
  | { at: "key"; issued: KeyIssued }
  | { at: "stored"; of: Key }
  | { at: "revoked"; changed: KeyChanged; receivedAt: number };

const TITLES: Record<State["at"], string> = {
  looking: "Your API key",
  "no-link": "This address is not complete",
  gone: "This link does not work",
  open: "Your API key is ready",
  taken: "This key was claimed already",
  key: "Store your API key",
  stored: "Done",
  revoked: "The key is revoked",
};

function Details({ shown: { claim, key } }: { shown: ClaimShown }) {
  return (
    <dl class="facts">
      <dt>Name</dt>
      <dd class="row">
        <strong class="strong">{key.name}</strong>
        <EnvironmentChip environment={key.environment} />
      </dd>
      <dt>For</dt>
      <dd>
        <span class="mono">{key.integration}</span>: {key.purpose}
      </dd>
      <dt>May</dt>
      <dd>{scopesInWords(key.scopes)}</dd>
      <dt>Works until</dt>
      <dd>
        <DateOf at={key.expires_at} />
      </dd>
      <dt>Issued by</dt>
      <dd>{claim.issued_by}</dd>
      <dt>Owner</dt>
      <dd>{key.owner}</dd>
    </dl>
  );
}

function Taken({
  link,
  shown,
  onRevoked,
}: {
  link: Link;
  shown: ClaimShown | null;
  onRevoked: (changed: KeyChanged) => void;
}) {
  const [typed, setTyped] = useState("");
  const [asked, setAsked] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const word = shown?.key.integration ?? "revoke";
  const revoke = async () => {
    setProblem(null);
    try {
      onRevoked(
        await call<KeyChanged>(`/claims/${link.id}/revoke`, {
          body: { secret: link.secret },
          quiet: true,
          anonymous: true,
        }),
      );
    } catch (error) {
      setProblem(asProblem(error));
    }
  };
  return (
    <div class="stack">
      {shown && <Details shown={shown} />}
      <Notice tone="warning">
        <span>
          Somebody opened this link before and got the key{" "}
          {shown?.claim.claimed_at && <Time at={shown.claim.claimed_at} />}. If that was you, the key is where you
          stored it. <strong class="strong">If it was not, someone else has your key: revoke it now</strong>, then ask
          whoever sent the link for a new one.
        </span>
      </Notice>
      <ProblemBox problem={problem} />
      {asked ? (
        <>
          <TypeToConfirm text={word} value={typed} onValue={setTyped} />
          <div>
            <Button kind="danger-fill" disabled={!confirms(typed, word)} onClick={revoke}>
              Revoke key
            </Button>
          </div>
        </>
      ) : (
        <div>
          <Button kind="danger" onClick={() => setAsked(true)}>
            It was not me: revoke the key
          </Button>
        </div>
      )}
    </div>
  );
}

function Open({
  link,
  shown,
  onState,
  onProblem,
}: {
  link: Link;
  shown: ClaimShown;
  onState: (state: State) => void;
  onProblem: (problem: Problem | null) => void;
}) {
  const claim = async () => {
    onProblem(null);
    try {
      const issued = await call<KeyIssued>(`/claims/${link.id}`, {
        body: { secret: link.secret, nonce: link.nonce },
        quiet: true,
        anonymous: true,
      });
      onState({ at: "key", issued });
    } catch (error) {
      const problem = asProblem(error);
      if (problem.code === "already_claimed") onState({ at: "taken", shown });
      else if (problem.status === 404) onState({ at: "gone" });
      else onProblem(problem);
    }
  };
  return (
    <div class="stack">
      <Details shown={shown} />
      <p>
        Press the button where you can store the key at once: it is made then and shown once, and nobody else can get
        it. The link ends <Time at={shown.claim.expires_at} />.
      </p>
      <div>
        <Button kind="primary" onClick={claim}>
          Show the key
        </Button>
      </div>
    </div>
  );
}

/** Reads what the link claims. Looking uses nothing up. */
async function look(link: Link): Promise<State> {
  try {
    const shown = await call<ClaimShown>(`/claims/${link.id}/lookup`, {
      body: { secret: link.secret },
      quiet: true,
      anonymous: true,
    });
    if (shown.claim.status !== "claimed") return { at: "open", shown };
    // Claimed from this tab, perhaps: then the nonce shows the same key again for ten minutes.
    const issued = await call<KeyIssued>(`/claims/${link.id}`, {
      body: { secret: link.secret, nonce: link.nonce },
      quiet: true,
      anonymous: true,
    }).catch(() => null);
    return issued ? { at: "key", issued } : { at: "taken", shown };
  } catch (error) {
    if (asProblem(error).status === 404) return { at: "gone" };
    throw error;
  }
}

function Body({
  state,
  link,
  onState,
  onProblem,
}: {
  state: State;
  link: Link | null;
  onState: (state: State) => void;
  onProblem: (problem: Problem | null) => void;
}) {
  if (state.at === "looking") return <Skeleton rows={5} height={28} />;
  if (state.at === "no-link" || !link)
    return (
      <p>
        The link ends in a long text after the sign #. Copy the whole link, or ask whoever sent it to send it again.
      </p>
    );
  if (state.at === "gone")
    return (
      <p>
        It ended, was withdrawn, or is not complete. Nothing was shown to anyone by it. Ask whoever sent it for a new
        one.
      </p>
    );
  if (state.at === "open") return <Open link={link} shown={state.shown} onState={onState} onProblem={onProblem} />;
  if (state.at === "taken")
    return (
      <Taken
        link={link}
        shown={state.shown}
        onRevoked={(changed) => onState({ at: "revoked", changed, receivedAt: Date.now() })}
      />
    );
  if (state.at === "key") {
    const { key, api_key: secret } = state.issued;
    const stored = () => {
      forgetLink();
      onState({ at: "stored", of: key });
    };
    return (
      <SecretOnce secret={secret ?? ""} what="key" fileName={`${key.id}.txt`} onStored={stored}>
        <p class="small muted">
          Store it where <span class="mono">{key.integration}</span> reads it: a secret manager or an environment
          variable, not the source code. Send it in the header <code>Authorization: Bearer</code>, only from servers.
        </p>
      </SecretOnce>
    );
  }
  if (state.at === "stored") {
    return (
      <div class="stack">
        <p>
          The key of <span class="mono">{state.of.integration}</span> works now. You may close this page.
        </p>
        <p>
          Its public id, for questions about it: <KeyId id={state.of.id} />
        </p>
      </div>
    );
  }
  const { changed, receivedAt } = state;
  return (
    <div class="stack">
      <Receipt
        changedAt={changed.key.revoked_at}
        receivedAt={receivedAt}
        effective_by={changed.effective_by}
        guaranteed_by={changed.guaranteed_by}
        outcome="off everywhere"
      />
      <p>Tell whoever sent you the link that somebody else had claimed it, and ask for a new one.</p>
    </div>
  );
}

/** The public page of a claim link. */
export function ClaimPage({ link }: { link: Link | null }) {
  const [state, setState] = useState<State>(link ? { at: "looking" } : { at: "no-link" });
  const [problem, setProblem] = useState<Problem | null>(null);
  const read = () => {
    if (!link) return;
    setProblem(null);
    look(link).then(setState, (error) => setProblem(asProblem(error)));
  };
  useEffect(read, []);
  useEffect(() => {
    document.title = TITLES[state.at];
    document.querySelector<HTMLElement>("h1")?.focus();
  }, [state.at]);
  return (
    <main class="centre">
      <div class="card-page wide">
        <div class="row">
          <Logo />
          <h1 tabIndex={-1}>{TITLES[state.at]}</h1>
        </div>
        <div class="panel">
          <div class="panel-body stack">
            <ProblemBox problem={problem} retry={state.at === "looking" ? read : undefined} />
            {!(problem && state.at === "looking") && (
              <Body state={state} link={link} onState={setState} onProblem={setProblem} />
            )}
          </div>
        </div>
        <p class="small muted">Keyward at {location.host}. This page sends nothing to anyone else.</p>
      </div>
    </main>
  );
}

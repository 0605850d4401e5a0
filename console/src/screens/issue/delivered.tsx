import type { Claim, Key } from "../../api/types.ts";
import { moment, momentWithLocal } from "../../logic/time.ts";
import { Button } from "../../parts/button.tsx";
import { CopyButton } from "../../parts/copy-button.tsx";
import { SecretOnce } from "../../parts/secret-once.tsx";
import { Snippet } from "../../parts/snippet.tsx";

/** Text for the person who gets the link. It holds no secret: the link goes separately. */
function message(key: Key, claim: Claim): string {
  return [
    `Your API key for "${key.name}" (${key.integration}, ${key.environment}) is ready to be claimed.`,
    `I send you the link separately. Open it, press "Show the key", and store the key where ${key.integration} reads it.`,
    `The link works once, until ${moment(Date.parse(claim.expires_at))}. If it says that the key was claimed already and it was not you, revoke it there and tell me.`,
  ].join("\n");
}

function Claimable({ of, claim, onDone }: { of: Key; claim: Claim; onDone: () => void }) {
  return (
    <div class="stack">
      <p>
        No secret exists yet. Send this link to whoever runs <strong class="strong">{of.integration}</strong>. Whoever
        opens it first gets the key, and you hear of it if somebody else tries. It works until{" "}
        {momentWithLocal(Date.parse(claim.expires_at))}.
      </p>
      <div class="secret-box">
        <code translate={false}>{claim.url}</code>
        <CopyButton text={claim.url ?? ""} what="claim link" kind="primary">
          Copy
        </CopyButton>
      </div>
      <p class="small muted">
        This page is the only one that shows the link. Lost it? Withdraw the claim, and issue or rotate again.
      </p>
      <div class="stack-4">
        <h3>A message to go with it</h3>
        <Snippet text={message(of, claim)} what="message" wrap />
      </div>
      <div>
        <Button kind="primary" onClick={onDone}>
          Done
        </Button>
      </div>
    </div>
  );
}

/** The name of an environment variable for the key of an integration. */
const variable = (integration: string) => `${integration.toUpperCase().replaceAll("-", "_")}_API_KEY`;

function Lines({ of, secret }: { of: Key; secret: string }) {
  const name = variable(of.integration);
  return (
    <details>
      <summary>Ready lines for .env, curl and the command line</summary>
      <div class="stack-8" style={{ paddingTop: "8px" }}>
        <Snippet text={`${name}=${secret}`} what="line for .env" wrap />
        <Snippet text={`curl -H "Authorization: Bearer $${name}" https://your-api.example/`} what="curl command" />
        <p class="small muted">
          Next time, the command line can put the key where it belongs without showing it:{" "}
          <code>
            keyward rotate {of.id} --to gh:owner/repo/{name}
          </code>
        </p>
      </div>
    </details>
  );
}

interface Props {
  of: Key;
  apiKey?: string;
  claim?: Claim;
  onDone: () => void;
}

/** What issue and rotation give: a claim link, or the key once. */
export function Delivered({ of, apiKey, claim, onDone }: Props) {
  if (claim) return <Claimable of={of} claim={claim} onDone={onDone} />;
  if (!apiKey) return null;
  return (
    <SecretOnce secret={apiKey} what="key" fileName={`${of.id}.txt`} onStored={onDone}>
      <Lines of={of} secret={apiKey} />
    </SecretOnce>
  );
}

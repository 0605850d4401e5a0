import { call } from "../../api/client.ts";
import type { Claim, Key, Page } from "../../api/types.ts";
import { useConsole } from "../../app/context.ts";
import { soon } from "../../app/notices.ts";
import { useResource } from "../../logic/resource.ts";
import { Button } from "../../parts/button.tsx";
import { Notice } from "../../parts/notice.tsx";
import { Time } from "../../parts/time.tsx";

/** The key waits for its claim: until when, and how to take the claim back. */
export function PendingClaim({ of, onChanged }: { of: Key; onChanged: () => void }) {
  const { rights } = useConsole();
  const claim = useResource<Claim | null>(rights.claims ? `${of.id} ${of.revision}` : null, async () => {
    const { items } = await call<Page<Claim>>("/claims", { query: { limit: 200 } });
    return items.find(({ id, key_id }) => (key_id ?? id) === of.id) ?? null;
  });
  const open = claim.data;
  const withdraw = () =>
    open &&
    soon(`The claim link of ${of.name} stops working`, async () => {
      await call(`/claims/${open.id}/withdraw`, { method: "POST", body: {} });
      onChanged();
    });
  return (
    <Notice tone="info">
      <strong class="strong">Waiting to be claimed</strong>
      <span>
        No secret exists yet, and no request passes with this key.{" "}
        {open && (
          <>
            Its link ends <Time at={open.expires_at} />; unused, the key is revoked then.
          </>
        )}
      </span>
      {open && (
        <span>
          <Button small onClick={withdraw}>
            Withdraw the claim
          </Button>
        </span>
      )}
    </Notice>
  );
}

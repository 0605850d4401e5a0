import { useState } from "preact/hooks";
import { call } from "../../api/client.ts";
import type { Key } from "../../api/types.ts";
import { type Console, useConsole } from "../../app/context.ts";
import { Page } from "../../app/page.tsx";
import { href, setParams, usePlace } from "../../app/router.ts";
import { useNames } from "../../app/shared.ts";
import { isId } from "../../logic/key-text.ts";
import { useObservable } from "../../logic/observable.ts";
import { useResource } from "../../logic/resource.ts";
import { purposeSentence, rightsSentence } from "../../logic/rights.ts";
import { Address } from "../../parts/address.tsx";
import { Button } from "../../parts/button.tsx";
import { EnvironmentChip, StatusChip } from "../../parts/chip.tsx";
import { Empty } from "../../parts/empty.tsx";
import { KeyId } from "../../parts/key-id.tsx";
import { Notice } from "../../parts/notice.tsx";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { Receipt } from "../../parts/receipt.tsx";
import { Skeleton } from "../../parts/skeleton.tsx";
import { Tabs } from "../../parts/tabs.tsx";
import { DateOf, Time } from "../../parts/time.tsx";
import { ActivityTab } from "./activity-tab.tsx";
import { ChangeDialog } from "./change-dialog.tsx";
import { CompromisedDialog } from "./compromised-dialog.tsx";
import { Exposed } from "./exposed.tsx";
import { HistoryTab } from "./history-tab.tsx";
import { PendingClaim } from "./pending-claim.tsx";
import { receipts } from "./receipts.ts";
import { RevokeDialog } from "./revoke-dialog.tsx";
import { RightsTab } from "./rights-tab.tsx";
import { RotateDialog } from "./rotate-dialog.tsx";
import { RotationTab } from "./rotation-tab.tsx";
import { UseTab } from "./use-tab.tsx";

type Asked = "rotate" | "change" | "revoke" | "compromised" | null;

/** The buttons that this member and the key's state allow. */
function Actions({ of, ask }: { of: Key; ask: (asked: Asked) => void }) {
  const { rights, capabilities } = useConsole();
  const isFinal = of.status === "revoked" || of.status === "expired";
  if (isFinal) {
    return rights.issue && !of.successor ? (
      <a class="button" href={href("/issue", { integration: of.integration })}>
        Issue a new key
      </a>
    ) : null;
  }
  return (
    <>
      {rights.issue && (of.status === "active" || of.status === "quarantined") && (
        <Button onClick={() => ask("rotate")}>Rotate</Button>
      )}
      {rights.issue && of.status === "active" && <Button onClick={() => ask("change")}>Change</Button>}
      {rights.revoke && (
        <Button kind="danger" onClick={() => ask("revoke")}>
          Revoke
        </Button>
      )}
      {rights.openIncident && capabilities.has("POST", "/keys/{id}/compromise") && (
        <Button kind="danger-fill" onClick={() => ask("compromised")}>
          Compromised
        </Button>
      )}
    </>
  );
}

function Facts({ of }: { of: Key }) {
  const names = useNames();
  const from = of.last_used_from;
  const where = [from?.network, from?.country, from?.asn ? `AS${from.asn}` : null].filter(Boolean).join(" · ");
  const isOver = of.status === "revoked";
  return (
    <div class="tiles">
      <div class="tile">
        <span class="what">Last used</span>
        <span>
          <Time at={of.last_used_at} />
        </span>
        {where && <span class="what">{where}</span>}
      </div>
      <div class="tile">
        <span class="what">{isOver ? "Revoked" : "Ends"}</span>
        <span>
          <DateOf at={(isOver ? of.revoked_at : null) ?? of.expires_at} />
        </span>
        <span class="what">
          <Time at={(isOver ? of.revoked_at : null) ?? of.expires_at} />
        </span>
      </div>
      <div class="tile">
        <span class="what">Issued</span>
        <span>
          <DateOf at={of.created_at} />
        </span>
        <span class="what">by {names(of.created_by)}</span>
      </div>
      <div class="tile">
        <span class="what">Owner</span>
        <Address of={of.owner} />
      </div>
    </div>
  );
}

/** What has happened to the key that a reader must not miss. */
function State({ of, onChanged }: { of: Key; onChanged: () => void }) {
  const names = useNames();
  const { rights } = useConsole();
  const receipt = useObservable(receipts).get(of.id);
  return (
    <>
      {receipt && <Receipt {...receipt} />}
      {of.status === "revoked" && (
        <Notice tone="danger">
          <span>
            Revoked <Time at={of.revoked_at} /> by {names(of.revoked_by ?? "")}. Reason: {of.revoke_reason}
          </span>
          {of.last_used_at && (
            <span class="small muted">
              Last accepted use: <Time at={of.last_used_at} />.
            </span>
          )}
        </Notice>
      )}
      {of.status === "retiring" && (
        <Notice tone="warning">
          <span>
            It was rotated and works until the overlap ends, <Time at={of.expires_at} />.{" "}
            <a href={href("/key", { id: of.id, tab: "rotation" })}>See the rotation</a>
          </span>
        </Notice>
      )}
      {of.status === "pending" && <PendingClaim of={of} onChanged={onChanged} />}
      {(of.status === "quarantined" || of.exposed_at) && rights.exposures && <Exposed of={of} onChanged={onChanged} />}
    </>
  );
}

function tabsFor({ rights }: Console) {
  return [
    ...(rights.usage ? [{ id: "use", label: "Use" }] : []),
    ...(rights.activity ? [{ id: "activity", label: "Activity" }] : []),
    { id: "rights", label: "Rights" },
    ...(rights.audit ? [{ id: "history", label: "History" }] : []),
    { id: "rotation", label: "Rotation" },
  ];
}

function Loaded({ of, reload }: { of: Key; reload: () => Promise<void> }) {
  const console = useConsole();
  const { query } = usePlace();
  const names = useNames();
  const [asked, ask] = useState<Asked>(null);
  const tabs = tabsFor(console);
  const tab = tabs.find(({ id }) => id === query.get("tab"))?.id ?? tabs[0]?.id ?? "rights";
  const done = () => {
    ask(null);
    reload();
  };
  const close = () => ask(null);
  const isOver = of.status === "revoked" || of.status === "expired";
  return (
    <Page
      title={of.name}
      beside={
        <>
          <EnvironmentChip environment={of.environment} />
          <StatusChip status={of.status} />
          <KeyId id={of.id} />
        </>
      }
      crumb={
        <>
          <a href={href("/keys")}>Keys</a> /{" "}
          <a href={href("/keys", { integration: of.integration })}>{of.integration}</a>
        </>
      }
      actions={<Actions of={of} ask={ask} />}
    >
      <div class="stack-24">
        <p class="lead">
          {rightsSentence(of, Date.parse(of.expires_at), isOver)} {purposeSentence(names(of.created_by), of.purpose)}
        </p>
        <State of={of} onChanged={reload} />
        <Facts of={of} />
        <div>
          <Tabs
            label="About this key"
            tabs={tabs}
            value={tab}
            onValue={(id) => setParams({ tab: id }, { replace: true })}
          >
            {tab === "use" && <UseTab of={of} />}
            {tab === "activity" && <ActivityTab of={of} />}
            {tab === "rights" && <RightsTab of={of} />}
            {tab === "history" && <HistoryTab of={of} />}
            {tab === "rotation" && <RotationTab of={of} onChanged={reload} />}
          </Tabs>
        </div>
      </div>
      {asked === "rotate" && <RotateDialog of={of} onClose={close} />}
      {asked === "change" && <ChangeDialog of={of} onClose={close} onDone={done} />}
      {asked === "revoke" && <RevokeDialog of={of} onClose={close} onDone={done} />}
      {asked === "compromised" && <CompromisedDialog of={of} onClose={close} />}
    </Page>
  );
}

export function KeyScreen() {
  const { query } = usePlace();
  const id = query.get("id") ?? "";
  const key = useResource<Key>(isId(id) ? id : null, () => call<Key>(`/keys/${id}`));
  if (key.data) return <Loaded key={id} of={key.data} reload={key.reload} />;
  return (
    <Page title="Key" crumb={<a href={href("/keys")}>Keys</a>}>
      {key.problem && <ProblemBox problem={key.problem} retry={key.reload} />}
      {!isId(id) && <Empty>The address names no key.</Empty>}
      {key.loading && <Skeleton rows={6} />}
    </Page>
  );
}

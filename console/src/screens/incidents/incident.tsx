import { useEffect, useRef, useState } from "preact/hooks";
import { call } from "../../api/client.ts";
import { asProblem, type Problem } from "../../api/problem.ts";
import type { ChecklistStep, IncidentKey, Incident as IncidentRecord, Key } from "../../api/types.ts";
import { useConsole } from "../../app/context.ts";
import { sayProblem } from "../../app/notices.ts";
import { Page } from "../../app/page.tsx";
import { href, usePlace } from "../../app/router.ts";
import { useNames } from "../../app/shared.ts";
import { useResource } from "../../logic/resource.ts";
import { capital } from "../../logic/words.ts";
import { Button } from "../../parts/button.tsx";
import { Chip } from "../../parts/chip.tsx";
import { CopyButton } from "../../parts/copy-button.tsx";
import { Dialog } from "../../parts/dialog.tsx";
import { errorOf, problemElsewhere, TextArea } from "../../parts/field.tsx";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { Receipt } from "../../parts/receipt.tsx";
import { Skeleton } from "../../parts/skeleton.tsx";
import { Table } from "../../parts/table.tsx";
import { Time } from "../../parts/time.tsx";
import { type Moment, Timeline } from "../../parts/timeline.tsx";
import { linkOf } from "./claims.ts";
import { IncidentStatus } from "./incidents.tsx";

const REFRESH_MS = 15_000;

const STEPS: Record<string, { name: string; todo: string }> = {
  revoked: { name: "Keys revoked", todo: "Each location refuses the keys within the bound." },
  replaced: { name: "Keys replaced", todo: "Send each claim link to whoever runs the integration." },
  updated: { name: "Systems updated", todo: "Done when each new key was seen at the gate and no old one since." },
  reviewed: {
    name: "Activity reviewed",
    todo: "Look at what the keys did around the exposure, and write down what you found.",
  },
};

function Checklist({ steps }: { steps: ChecklistStep[] }) {
  const names = useNames();
  return (
    <ol class="stack">
      {steps.map((step) => (
        <li key={step.step} class="row row-top one-line">
          <Chip tone={step.done ? "ok" : "warning"} shape={step.done ? "✓" : "○"}>
            {step.done ? "Done" : "To do"}
          </Chip>
          <span class="grow stack-4">
            <strong class="strong">{STEPS[step.step]?.name ?? capital(step.step)}</strong>
            <span class="small muted">
              {step.done ? (
                <>
                  <Time at={step.at} absent="" />
                  {step.by && ` by ${names(step.by)}`}
                </>
              ) : (
                STEPS[step.step]?.todo
              )}
            </span>
            {step.detail && <span class="small">{step.detail}</span>}
          </span>
        </li>
      ))}
    </ol>
  );
}

function ClaimCell({ of }: { of: IncidentKey }) {
  if (!of.claim) return <span class="muted">none</span>;
  if (of.claim.status && of.claim.status !== "open") {
    return (
      <span>
        {capital(of.claim.status)}: <a href={href("/key", { id: of.claim.id })}>the new key</a>
      </span>
    );
  }
  const url = of.claim.url ?? linkOf(of.claim.id);
  return (
    <span class="row">
      <span>
        Ends <Time at={of.claim.expires_at} />
      </span>
      {url && (
        <CopyButton text={url} what="claim link" small>
          Copy link
        </CopyButton>
      )}
    </span>
  );
}

function Review({ of, onClose, onDone }: { of: IncidentRecord; onClose: () => void; onDone: () => void }) {
  const [finding, setFinding] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async () => {
    setBusy(true);
    setProblem(null);
    try {
      await call(`/incidents/${of.id}/review`, { body: { finding: finding.trim() } });
      onDone();
    } catch (error) {
      setProblem(asProblem(error));
      setBusy(false);
    }
  };
  return (
    <Dialog
      title="Record the review"
      onClose={onClose}
      onSubmit={submit}
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" busy={busy} disabled={!finding.trim()}>
            Record review
          </Button>
        </>
      }
    >
      <p>
        What did the keys do around the exposure that was new: other networks, other routes, more requests? The activity
        of each key shows it.
      </p>
      <ProblemBox problem={problemElsewhere(problem, ["finding"])} />
      <TextArea
        label="Finding"
        value={finding}
        onValue={setFinding}
        error={errorOf(problem, "finding")}
        maxLength={500}
        required
        autofocus
      />
    </Dialog>
  );
}

/** Reads the incident again while the page is visible. */
function useRefresh(reload: () => Promise<void>, isOpen: boolean) {
  useEffect(() => {
    if (!isOpen) return;
    const timer = setInterval(() => !document.hidden && reload(), REFRESH_MS);
    return () => clearInterval(timer);
  }, [reload, isOpen]);
}

/** Number of keys whose own moments the timeline has: each costs two reads. */
const MOST_IN_TIMELINE = 10;

interface Replaced {
  old: Key;
  /** The key that was minted by the claim. */
  next: Key | null;
}

/** Reads the keys of an incident and their replacements. A key that cannot be read is left out of the timeline. */
async function readKeys({ keys }: IncidentRecord): Promise<Replaced[]> {
  const read = (id: string) => call<Key>(`/keys/${id}`, { background: true });
  const pairs = keys.slice(0, MOST_IN_TIMELINE).map(async ({ key_id, claim }) => {
    const [old, next] = await Promise.all([read(key_id), claim?.status === "claimed" ? read(claim.id) : null]);
    return { old, next };
  });
  return (await Promise.allSettled(pairs)).flatMap((pair) => (pair.status === "fulfilled" ? [pair.value] : []));
}

/** First use, exposure and last use of each old key, and the first use of its replacement. */
function momentsOfKeys(pairs: Replaced[]): Moment[] {
  return pairs.flatMap(({ old, next }) => {
    const moments: (Moment | null)[] = [
      old.first_used_at ? { at: old.first_used_at, what: `First use of ${old.name}` } : null,
      old.exposed_at ? { at: old.exposed_at, what: `${old.name} was exposed`, tone: "danger" } : null,
      old.last_used_at ? { at: old.last_used_at, what: `Last accepted use of ${old.name}` } : null,
      next?.first_used_at ? { at: next.first_used_at, what: `First use of the new ${next.name}`, tone: "ok" } : null,
    ];
    return moments.filter((moment) => moment !== null);
  });
}

function momentsOf(incident: IncidentRecord, pairs: Replaced[], names: (id: string) => string): Moment[] {
  const done = incident.checklist.filter((step) => step.done && step.at);
  const moments: Moment[] = [
    { at: incident.opened_at, what: `Opened by ${names(incident.opened_by)}`, tone: "danger" },
    ...momentsOfKeys(pairs),
    ...done.map((step): Moment => ({ at: step.at, what: STEPS[step.step]?.name ?? step.step, tone: "ok" })),
    ...(incident.closed_at ? [{ at: incident.closed_at, what: "Closed" }] : []),
  ];
  return moments.sort((a, b) => String(a.at).localeCompare(String(b.at)));
}

function Loaded({ of, reload }: { of: IncidentRecord; reload: () => Promise<void> }) {
  const { rights, member } = useConsole();
  const names = useNames();
  const [reviewing, setReviewing] = useState(false);
  useRefresh(reload, of.status === "open");
  const pairs = useResource<Replaced[]>(
    `${of.id} ${of.checklist.map(({ done }) => done)} ${of.keys.map(({ claim }) => claim?.status)}`,
    () => readKeys(of),
    true,
  );
  const isReviewed = of.checklist.some(({ step, done }) => step === "reviewed" && done);
  const mayClose = (member.role === "owner" || member.role === "responder") && of.status === "open";
  const close = () => call(`/incidents/${of.id}/close`, { method: "POST", body: {} }).then(reload, sayProblem);
  const last = [...of.keys].sort((a, b) => b.effective_by.localeCompare(a.effective_by))[0];
  return (
    <Page
      title={of.note}
      beside={<IncidentStatus status={of.status} />}
      crumb={<a href={href("/incidents")}>Incidents</a>}
      intro={
        <>
          {capital(of.kind)}. Opened <Time at={of.opened_at} /> by {names(of.opened_by)}.
        </>
      }
      actions={
        of.status === "open" && (
          <>
            {rights.openIncident && <Button onClick={() => setReviewing(true)}>Record the review</Button>}
            {mayClose && (
              <Button kind="primary" disabled={!isReviewed} onClick={close}>
                Close incident
              </Button>
            )}
          </>
        )
      }
    >
      <div class="stack-24">
        {last && of.status === "open" && (
          <Receipt
            changedAt={of.opened_at}
            effective_by={last.effective_by}
            guaranteed_by={last.guaranteed_by}
            outcome="all keys are off everywhere"
          />
        )}
        <div class="columns">
          <section class="panel">
            <div class="section-head">
              <h2>What remains to be done</h2>
            </div>
            <div class="panel-body">
              <Checklist steps={of.checklist} />
            </div>
          </section>
          <section class="panel">
            <div class="section-head">
              <h2>Timeline</h2>
            </div>
            <div class="panel-body">
              <Timeline moments={momentsOf(of, pairs.data ?? [], names)} />
            </div>
          </section>
        </div>
        <section>
          <div class="section-head">
            <h2>Keys</h2>
          </div>
          <Table
            caption="Keys of this incident"
            rows={of.keys}
            idOf={({ key_id }) => key_id}
            columns={[
              {
                label: "Key",
                cell: ({ key_id }) => (
                  <a class="mono" href={href("/key", { id: key_id })}>
                    {key_id}
                  </a>
                ),
              },
              { label: "Off everywhere", cell: ({ effective_by }) => <Time at={effective_by} /> },
              { label: "Even in an outage", cell: ({ guaranteed_by }) => <Time at={guaranteed_by} /> },
              { label: "Claim of the replacement", cell: (key) => <ClaimCell of={key} /> },
              {
                label: "Activity",
                tight: true,
                cell: ({ key_id }) =>
                  rights.activity && <a href={href("/key", { id: key_id, tab: "activity" })}>Review</a>,
              },
            ]}
          />
        </section>
      </div>
      {reviewing && (
        <Review
          of={of}
          onClose={() => setReviewing(false)}
          onDone={() => {
            setReviewing(false);
            reload();
          }}
        />
      )}
    </Page>
  );
}

export function Incident() {
  const id = usePlace().query.get("id") ?? "";
  const read = useRef(false);
  const incident = useResource<IncidentRecord>(id || null, async () => {
    // Only the first look counts as activity.
    const background = read.current;
    read.current = true;
    const answer = await call<IncidentRecord | { incident: IncidentRecord }>(`/incidents/${encodeURIComponent(id)}`, {
      background,
    });
    return "incident" in answer ? answer.incident : answer;
  });
  if (incident.data) return <Loaded of={incident.data} reload={incident.reload} />;
  return (
    <Page title="Incident" crumb={<a href={href("/incidents")}>Incidents</a>}>
      <ProblemBox problem={incident.problem} retry={incident.reload} />
      {incident.loading && <Skeleton rows={6} />}
    </Page>
  );
}

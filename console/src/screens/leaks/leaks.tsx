import { useState } from "preact/hooks";
import { call } from "../../api/client.ts";
import type { Page as ApiPage, LeakItem, LeakReport } from "../../api/types.ts";
import { useConsole } from "../../app/context.ts";
import { Page } from "../../app/page.tsx";
import { go, href, setParams, usePlace } from "../../app/router.ts";
import { useResource } from "../../logic/resource.ts";
import { count, list as inWords, number } from "../../logic/words.ts";
import { Address } from "../../parts/address.tsx";
import { Button } from "../../parts/button.tsx";
import { Chip, EnvironmentChip } from "../../parts/chip.tsx";
import { Empty } from "../../parts/empty.tsx";
import { CursorPager } from "../../parts/pager.tsx";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { Skeleton } from "../../parts/skeleton.tsx";
import { Snippet } from "../../parts/snippet.tsx";
import { Table } from "../../parts/table.tsx";
import { Time } from "../../parts/time.tsx";
import { OpenIncident } from "../incidents/open-incident.tsx";

const SOURCES: Record<string, string> = {
  github: "GitHub secret scanning",
  gitlab: "GitLab secret detection",
  public: "Somebody who found it",
};

const isKey = (item: LeakItem) => item.environment !== null;

/** The key, or the member whose credential it is. */
function Leaked({ of }: { of: LeakItem }) {
  const { rights } = useConsole();
  const address = isKey(of) ? href("/key", { id: of.key_id }) : rights.members ? href("/members") : null;
  return (
    <span class="stack-4">
      {address ? (
        <a class="mono nowrap" href={address}>
          {of.key_id}
        </a>
      ) : (
        <span class="mono nowrap">{of.key_id}</span>
      )}
      <span class="small muted">{of.integration ?? "a member's credential"}</span>
    </span>
  );
}

function Report({ of }: { of: LeakReport }) {
  const { rights } = useConsole();
  const [opening, setOpening] = useState(false);
  const keys = of.items.filter(isKey).map(({ key_id }) => ({ id: key_id }));
  const source = SOURCES[of.source] ?? of.source;
  return (
    <section class="panel" aria-label={`Report of ${source}`}>
      <div class="section-head">
        <span class="stack-4">
          <h2>{source}</h2>
          <span class="small muted">
            Received <Time at={of.received_at} />
            {of.found_at && (
              <>
                , found <Time at={of.found_at} />
              </>
            )}
          </span>
        </span>
        {rights.openIncident && keys.length > 0 && (
          <Button small onClick={() => setOpening(true)}>
            Open incident
          </Button>
        )}
      </div>
      {(of.place || of.note) && (
        <dl class="facts panel-body above-table">
          {of.place && (
            <>
              <dt>Place</dt>
              <dd class="mono">{of.place}</dd>
            </>
          )}
          {of.note && (
            <>
              <dt>Note</dt>
              <dd>{of.note}</dd>
            </>
          )}
        </dl>
      )}
      <Table
        caption="Keys in this report"
        rows={of.items}
        idOf={({ key_id }) => key_id}
        columns={[
          { label: "Key", cell: (item) => <Leaked of={item} /> },
          {
            label: "Environment",
            tight: true,
            cell: ({ environment }) =>
              environment ? <EnvironmentChip environment={environment} /> : <span class="muted">–</span>,
          },
          {
            label: "At the report",
            tight: true,
            cell: (item) =>
              item.was_active ? (
                <Chip tone="danger" shape="!">
                  It worked
                </Chip>
              ) : (
                <Chip tone="quiet" shape="–">
                  It was off
                </Chip>
              ),
          },
          {
            label: "Off everywhere",
            tight: true,
            cell: (item) => <Time at={item.effective_by} absent="it had expired" />,
          },
          { label: "Used before", tight: true, cell: (item) => <Time at={item.last_used_before} absent="not known" /> },
          {
            label: "Uses since",
            right: true,
            tight: true,
            cell: (item) => <span class="number">{item.uses_since === null ? "–" : number(item.uses_since)}</span>,
          },
          {
            label: "Could use",
            cell: ({ routes }) =>
              routes.length > 0 ? (
                <details class="small">
                  <summary class="nowrap">{count(routes.length, "route")}</summary>
                  <code>{inWords(routes)}</code>
                </details>
              ) : (
                <span class="muted">nothing</span>
              ),
          },
          { label: "Owner", cell: (item) => item.owner && <Address of={item.owner} /> },
        ]}
      />
      {opening && (
        <OpenIncident
          keys={keys}
          kind="exposed"
          note={of.place ?? of.note ?? ""}
          areRevoked
          onClose={() => setOpening(false)}
          onDone={(address) => go(address)}
        />
      )}
    </section>
  );
}

const RULES: Record<string, string> = {
  github: "GitHub, and any other scanner that takes an expression",
  gitleaks: "gitleaks, and GitLab secret detection",
  trufflehog: "TruffleHog",
};

/** The rules by which scanners recognise this deployment's keys. */
function Rules() {
  const rules = useResource<Record<string, unknown>>("rules", () => call<Record<string, unknown>>("/leaks/rules"));
  if (rules.problem) return <ProblemBox problem={rules.problem} retry={rules.reload} />;
  if (!rules.data) return <Skeleton rows={3} />;
  return (
    <div class="stack">
      {Object.entries(rules.data).map(([name, rule]) => (
        <div key={name} class="stack-4">
          <h3>{RULES[name] ?? name}</h3>
          <Snippet text={typeof rule === "string" ? rule : JSON.stringify(rule, null, 2)} what={`rule for ${name}`} />
        </div>
      ))}
    </div>
  );
}

function HowToJoin() {
  return (
    <section class="stack-8">
      <h2>How reports reach this deployment</h2>
      <ul class="prose bullets">
        <li>
          GitHub: apply to its secret scanning partner program, and name <code>/_keyward/v1/leaks/github</code> on the
          gate's host as the address of reports.
        </li>
        <li>
          GitLab: set the secret <code>LEAK_GITLAB_TOKEN</code>, and give GitLab the token and{" "}
          <code>/_keyward/v1/leaks/gitlab/v1/revoke_tokens</code>.
        </li>
        <li>
          Anyone who finds a key may post it to <code>/_keyward/v1/leaks</code>.
        </li>
      </ul>
      <p class="prose">Scanners, those in your own pipelines too, recognise keys by these rules:</p>
      <Rules />
    </section>
  );
}

export function Leaks() {
  const cursor = usePlace().query.get("cursor");
  const list = useResource<ApiPage<LeakReport>>(`leaks ${cursor}`, () =>
    call<ApiPage<LeakReport>>("/leaks", { query: { cursor } }),
  );
  const next = list.data?.next_cursor ?? null;
  return (
    <Page
      title="Leaks"
      intro="Reports of keys that were found in public. Every key of this deployment in a report was revoked when the report came. Place and note are as the reporter wrote them."
    >
      <div class="stack-24">
        <ProblemBox problem={list.problem} retry={list.reload} />
        {!list.data && list.loading && <Skeleton rows={4} />}
        {list.data?.items.length === 0 && (
          <div class="panel">
            <Empty>
              No report so far. Join the scanning programs below, so that reports reach Keyward within seconds of a
              push.
            </Empty>
          </div>
        )}
        {list.data?.items.map((report) => (
          <Report key={report.id} of={report} />
        ))}
        <CursorPager cursor={cursor} next={next} setParams={setParams} />
        <HowToJoin />
      </div>
    </Page>
  );
}

import { call } from "../../api/client.ts";
import type { Page as ApiPage, LeakReport } from "../../api/types.ts";
import { Page } from "../../app/page.tsx";
import { href, setParams, usePlace } from "../../app/router.ts";
import { useResource } from "../../logic/resource.ts";
import { number } from "../../logic/words.ts";
import { Chip, EnvironmentChip } from "../../parts/chip.tsx";
import { Empty } from "../../parts/empty.tsx";
import { Pager } from "../../parts/pager.tsx";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { Skeleton } from "../../parts/skeleton.tsx";
import { Snippet } from "../../parts/snippet.tsx";
import { Table } from "../../parts/table.tsx";
import { Time } from "../../parts/time.tsx";

const SOURCES: Record<string, string> = {
  github: "GitHub secret scanning",
  gitlab: "GitLab",
  public: "Somebody who found it",
  holder: "The holder of the key",
};

function Report({ of }: { of: LeakReport }) {
  return (
    <section class="panel">
      <div class="section-head">
        <h2>{SOURCES[of.source] ?? of.source}</h2>
        <span class="small muted">
          Received <Time at={of.received_at} />
          {of.found_at && (
            <>
              , found <Time at={of.found_at} />
            </>
          )}
        </span>
      </div>
      <div class="panel-body stack">
        {of.place && (
          <p>
            Where: <span class="mono small">{of.place}</span>
          </p>
        )}
        {of.note && <p>{of.note}</p>}
        <Table
          caption="Keys in this report"
          rows={of.items}
          idOf={({ key_id }) => key_id}
          columns={[
            {
              label: "Key",
              cell: (item) => (
                <span class="stack-4">
                  <a class="mono" href={href("/key", { id: item.key_id })}>
                    {item.key_id}
                  </a>
                  <span class="small muted">{item.integration}</span>
                </span>
              ),
            },
            { label: "Environment", tight: true, cell: (item) => <EnvironmentChip environment={item.environment} /> },
            {
              label: "When it was found",
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
            { label: "Off everywhere", tight: true, cell: (item) => <Time at={item.effective_by} /> },
            { label: "Used before", tight: true, cell: (item) => <Time at={item.last_used_before} /> },
            {
              label: "Uses since",
              right: true,
              tight: true,
              cell: (item) => <span class="number">{item.uses_since === null ? "–" : number(item.uses_since)}</span>,
            },
            { label: "Owner", cell: (item) => item.owner },
          ]}
        />
      </div>
    </section>
  );
}

/** The rules by which scanners recognise this deployment's keys. The shape is the API's; each text can be copied. */
function Rules() {
  const rules = useResource<Record<string, unknown>>("rules", () => call<Record<string, unknown>>("/leaks/rules"));
  if (rules.problem) return <ProblemBox problem={rules.problem} retry={rules.reload} />;
  if (!rules.data) return <Skeleton rows={3} />;
  return (
    <div class="stack">
      {Object.entries(rules.data).map(([name, rule]) => (
        <div key={name} class="stack-4">
          <h3>{name}</h3>
          <Snippet text={typeof rule === "string" ? rule : JSON.stringify(rule, null, 2)} what={`rule for ${name}`} />
        </div>
      ))}
    </div>
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
      intro="Reports of keys that were found in public. Every key of this deployment in a report was revoked when the report came."
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
        {(next || cursor) && (
          <Pager
            shown=""
            onPrevious={null}
            onFirst={cursor ? () => setParams({ cursor: null }) : null}
            onNext={next ? () => setParams({ cursor: next }) : null}
          />
        )}
        <section class="stack-8">
          <h2>How reports reach this deployment</h2>
          <p class="prose">
            Apply to GitHub's secret scanning partner program and name <code>/_keyward/v1/leaks/github</code> on the
            gate's host as the endpoint. Anyone who finds a key may post it to <code>/_keyward/v1/leaks</code>. Scanners
            in your own pipelines recognise keys by these rules:
          </p>
          <Rules />
        </section>
      </div>
    </Page>
  );
}

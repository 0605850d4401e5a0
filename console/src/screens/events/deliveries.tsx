import { call } from "../../api/client.ts";
import { readScreenful } from "../../api/pages.ts";
import type { Page as ApiPage, Delivery, Endpoint } from "../../api/types.ts";
import { say, sayProblem } from "../../app/notices.ts";
import { setParams, usePlace } from "../../app/router.ts";
import { useResource } from "../../logic/resource.ts";
import { capital, count } from "../../logic/words.ts";
import { Button } from "../../parts/button.tsx";
import { Chip } from "../../parts/chip.tsx";
import { Empty } from "../../parts/empty.tsx";
import { CursorPager } from "../../parts/pager.tsx";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { Skeleton } from "../../parts/skeleton.tsx";
import { Table } from "../../parts/table.tsx";
import { Time } from "../../parts/time.tsx";
import { attemptInWords } from "./words.ts";

const SIZE = 50;
const STATES = {
  delivered: { tone: "ok", shape: "✓" },
  pending: { tone: "accent", shape: "○" },
  failed: { tone: "danger", shape: "✕" },
} as const;

function Result({ of }: { of: Delivery }) {
  return (
    <span class="stack-4">
      <span>
        <Chip tone={STATES[of.status]?.tone} shape={STATES[of.status]?.shape}>
          {capital(of.status)}
        </Chip>
      </span>
      {of.next_attempt_at && (
        <span class="small muted">
          next attempt <Time at={of.next_attempt_at} />
        </span>
      )}
    </span>
  );
}

function Attempts({ of }: { of: Delivery }) {
  const last = of.attempts.at(-1);
  if (!last) return <span class="muted">none yet</span>;
  if (of.attempts.length === 1) {
    return (
      <span class="small">
        {capital(attemptInWords(last))}, <Time at={last.at} />
      </span>
    );
  }
  return (
    <details class="small">
      <summary>
        {count(of.attempts.length, "attempt")}, the last {attemptInWords(last)}
      </summary>
      <ol class="stack-4">
        {of.attempts.map((attempt) => (
          <li key={attempt.at}>
            <Time at={attempt.at} />: {attemptInWords(attempt)}
          </li>
        ))}
      </ol>
    </details>
  );
}

function Filters({ endpoints }: { endpoints: Endpoint[] }) {
  const { query } = usePlace();
  const set = (name: string) => (event: { currentTarget: HTMLSelectElement }) =>
    setParams({ [name]: event.currentTarget.value || null, cursor: null });
  return (
    <fieldset class="filters" aria-label="Filters">
      <select aria-label="Result" value={query.get("status") ?? ""} onChange={set("status")}>
        <option value="">Any result</option>
        <option value="delivered">Delivered</option>
        <option value="pending">Pending</option>
        <option value="failed">Failed</option>
      </select>
      <select aria-label="Endpoint" value={query.get("endpoint") ?? ""} onChange={set("endpoint")}>
        <option value="">Any endpoint</option>
        {endpoints.map(({ id, url }) => (
          <option key={id} value={id}>
            {url}
          </option>
        ))}
      </select>
    </fieldset>
  );
}

/** What was sent in the last 30 days, with each attempt. */
export function Deliveries({ endpoints }: { endpoints: Endpoint[] | null }) {
  const { query } = usePlace();
  const [endpoint, status, cursor] = ["endpoint", "status", "cursor"].map((name) => query.get(name));
  const page = useResource<ApiPage<Delivery>>(
    `deliveries ${endpoint} ${status} ${cursor}`,
    () => readScreenful<Delivery>("/deliveries", { endpoint, status, cursor }, SIZE),
    true,
  );
  const urlOf = (id: string) =>
    endpoints ? (endpoints.find((one) => one.id === id)?.url ?? "an endpoint that was deleted") : id;
  const resend = (id: string) =>
    call(`/deliveries/${id}/resend`, { method: "POST", body: {} }).then(() => {
      say("The event is sent again.");
      return page.reload();
    }, sayProblem);
  const rows = page.data?.items ?? [];
  const next = page.data?.next_cursor ?? null;
  return (
    <>
      <div class="section-head">
        <Filters endpoints={endpoints ?? []} />
        <Button small onClick={page.reload}>
          Refresh
        </Button>
      </div>
      <ProblemBox problem={page.problem} retry={page.reload} />
      {!page.data && page.loading && <Skeleton rows={4} />}
      {page.data && rows.length === 0 && (
        <div class="panel">
          <Empty>
            {endpoint || status
              ? `No delivery fits these filters${next ? " so far. The next page looks further" : ""}.`
              : "Nothing was sent in the last 30 days. An enabled endpoint receives what happens from then on."}
          </Empty>
        </div>
      )}
      {rows.length > 0 && (
        <Table
          caption="Deliveries"
          rows={rows}
          idOf={({ id }) => id}
          columns={[
            {
              label: "Event",
              cell: (one) => (
                <span class="stack-4">
                  <code>{one.type}</code>
                  <span class="small muted">
                    <Time at={one.event_time} />
                  </span>
                </span>
              ),
            },
            { label: "To", cell: (one) => <span class="mono small">{urlOf(one.endpoint)}</span> },
            { label: "Result", tight: true, cell: (one) => <Result of={one} /> },
            { label: "Attempts", cell: (one) => <Attempts of={one} /> },
            {
              label: "",
              tight: true,
              cell: ({ id, type, status: result }) =>
                type !== "endpoint.test" && (
                  <Button small onClick={() => resend(id)}>
                    {result === "pending" ? "Send now" : "Send again"}
                  </Button>
                ),
            },
          ]}
        />
      )}
      <CursorPager cursor={cursor} next={next} setParams={setParams} />
    </>
  );
}

import { serverNow } from "../../api/client.ts";
import { readScreenful } from "../../api/pages.ts";
import type { Key, Page } from "../../api/types.ts";
import { useConsole } from "../../app/context.ts";
import { href, usePlace } from "../../app/router.ts";
import { useResource } from "../../logic/resource.ts";
import { DAY_MS } from "../../logic/time.ts";
import { Address } from "../../parts/address.tsx";
import { EnvironmentChip } from "../../parts/chip.tsx";
import { Empty } from "../../parts/empty.tsx";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { Skeleton } from "../../parts/skeleton.tsx";
import { Table } from "../../parts/table.tsx";
import { DateOf, Time } from "../../parts/time.tsx";

const SHOWN = 5;

/** The keys that end next, so that nobody learns of an end by an outage. */
export function Ending() {
  const { rights } = useConsole();
  const env = usePlace().query.get("env");
  const keys = useResource<Page<Key>>(
    `ending ${env}`,
    () => {
      const before = new Date(Math.ceil((serverNow() + 30 * DAY_MS) / 60_000) * 60_000).toISOString();
      return readScreenful<Key>(
        "/keys",
        { environment: env, status: "active", expires_before: before, sort: "expires_at" },
        SHOWN,
      );
    },
    true,
  );
  const rows = keys.data?.items ?? [];
  return (
    <section>
      <div class="section-head">
        <h2>Ending within 30 days</h2>
        {keys.data?.next_cursor && (
          <a href={href("/keys", { status: "active", ends: "30", sort: "expires_at" })}>All of them</a>
        )}
      </div>
      <ProblemBox problem={keys.problem} retry={keys.reload} />
      {!keys.data && keys.loading && <Skeleton rows={3} />}
      {keys.data && rows.length === 0 && (
        <div class="panel">
          <Empty
            action={
              rights.issue && (
                <a class="button" href={href("/issue")}>
                  Issue a key
                </a>
              )
            }
          >
            No active key ends within 30 days.
          </Empty>
        </div>
      )}
      {rows.length > 0 && (
        <Table
          caption="Keys that end within 30 days"
          rows={rows}
          idOf={({ id }) => id}
          opens
          columns={[
            {
              label: "Name",
              cell: (key) => (
                <span class="stack-4">
                  <a class="row-link" href={href("/key", { id: key.id })}>
                    {key.name}
                  </a>
                  <span class="small muted mono">{key.integration}</span>
                </span>
              ),
            },
            { label: "Environment", tight: true, cell: (key) => <EnvironmentChip environment={key.environment} /> },
            {
              label: "Ends",
              tight: true,
              cell: (key) => (
                <span>
                  <DateOf at={key.expires_at} />{" "}
                  <span class="small muted">
                    <Time at={key.expires_at} />
                  </span>
                </span>
              ),
            },
            { label: "Last used", tight: true, cell: (key) => <Time at={key.last_used_at} /> },
            { label: "Owner", cell: (key) => <Address of={key.owner} /> },
          ]}
        />
      )}
    </section>
  );
}

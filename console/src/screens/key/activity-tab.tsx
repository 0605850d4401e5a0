import { call, send, serverNow } from "../../api/client.ts";
import type { Activity, Key } from "../../api/types.ts";
import { sayProblem } from "../../app/notices.ts";
import { download } from "../../logic/download.ts";
import { useResource } from "../../logic/resource.ts";
import { DAY_MS } from "../../logic/time.ts";
import { number } from "../../logic/words.ts";
import { Button } from "../../parts/button.tsx";
import { Empty } from "../../parts/empty.tsx";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { Skeleton } from "../../parts/skeleton.tsx";
import { Table } from "../../parts/table.tsx";
import { Time } from "../../parts/time.tsx";

const DAYS = 7;
const hour = (ms: number) => new Date(Math.ceil(ms / 3_600_000) * 3_600_000).toISOString();
const refusedIn = (refused: Record<string, number> | undefined) =>
  Object.values(refused ?? {}).reduce((sum, count) => sum + count, 0);

/** Who used the key, from where and for what, hour by hour. */
export function ActivityTab({ of }: { of: Key }) {
  const query = { from: hour(serverNow() - DAYS * DAY_MS), to: hour(serverNow()) };
  const activity = useResource<Activity>(of.id, () => call<Activity>(`/keys/${of.id}/activity`, { query }));
  if (activity.problem) return <ProblemBox problem={activity.problem} retry={activity.reload} />;
  if (!activity.data) return <Skeleton rows={4} />;
  const rows = activity.data.items.filter((item) => item.route !== undefined || item.network !== undefined).reverse();
  const save = async () => {
    try {
      const response = await send(`/keys/${of.id}/activity`, { query, accept: "text/csv" });
      download(`${of.id}-activity.csv`, await response.blob());
    } catch (error) {
      sayProblem(error);
    }
  };
  if (rows.length === 0) return <Empty>No use of this key is recorded in the last {DAYS} days.</Empty>;
  return (
    <div class="stack-8">
      <div class="row spread">
        <span class="small muted">The last {DAYS} days, newest first.</span>
        <Button small icon="download" onClick={save}>
          Export CSV
        </Button>
      </div>
      <Table
        caption="Activity of this key"
        rows={rows}
        idOf={(item) => `${item.at} ${item.route} ${item.network} ${item.client} ${item.country} ${item.asn}`}
        columns={[
          { label: "Hour", tight: true, cell: (item) => <Time at={item.at} /> },
          { label: "Route", cell: (item) => <code>{item.route ?? "–"}</code> },
          { label: "Network", cell: (item) => <span class="mono small">{item.network ?? "–"}</span> },
          {
            label: "Place",
            cell: (item) => [item.country, item.asn ? `AS${item.asn}` : null].filter(Boolean).join(" · ") || "–",
          },
          { label: "Client", cell: (item) => item.client ?? "–" },
          { label: "Allowed", right: true, cell: (item) => <span class="number">{number(item.allowed ?? 0)}</span> },
          {
            label: "Refused",
            right: true,
            cell: (item) => <span class="number">{number(refusedIn(item.refused))}</span>,
          },
        ]}
      />
    </div>
  );
}

import { useState } from "preact/hooks";
import { serverNow } from "../../api/client.ts";
import { asProblem, type Problem } from "../../api/problem.ts";
import type { ActivityItem, Key } from "../../api/types.ts";
import { sayProblem } from "../../app/notices.ts";
import { hourAfter, newIn, readActivity, readActivityCsv } from "../../logic/activity.ts";
import { download } from "../../logic/download.ts";
import { useResource } from "../../logic/resource.ts";
import { DAY_MS } from "../../logic/time.ts";
import { codesIn, refusedIn } from "../../logic/usage.ts";
import { list, number } from "../../logic/words.ts";
import { Button } from "../../parts/button.tsx";
import { Chip } from "../../parts/chip.tsx";
import { Empty } from "../../parts/empty.tsx";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { Skeleton } from "../../parts/skeleton.tsx";
import { Table } from "../../parts/table.tsx";
import { Time } from "../../parts/time.tsx";

/** Days that one press of a button adds. */
const DAYS = 2;
/** Days for which hours are kept. */
const MOST_DAYS = 34;
const SHOWN = 100;

function Uses({ items, since }: { items: ActivityItem[]; since: number }) {
  const [shown, setShown] = useState(SHOWN);
  const isNew = newIn(items, since);
  return (
    <>
      <Table
        caption="Activity of this key"
        rows={items.slice(0, shown)}
        idOf={(item) => `${item.at} ${item.route} ${item.network} ${item.client} ${item.country} ${item.asn}`}
        columns={[
          {
            label: "Hour",
            tight: true,
            cell: (item) => (
              <span class="stack-4">
                <Time at={item.at} />
                {isNew.has(item) && (
                  <span>
                    <Chip tone="warning" shape="▲">
                      New {list(isNew.get(item) ?? [])}
                    </Chip>
                  </span>
                )}
              </span>
            ),
          },
          { label: "Route", cell: (item) => <code>{item.route ?? "–"}</code> },
          {
            label: "From",
            cell: (item) => (
              <span class="stack-4">
                <span class="mono">{item.network ?? "–"}</span>
                <span class="small muted">
                  {[item.country, item.asn ? `AS${item.asn}` : null].filter(Boolean).join(" · ")}
                </span>
              </span>
            ),
          },
          { label: "Client", cell: (item) => item.client || "–" },
          { label: "Allowed", right: true, cell: (item) => <span class="number">{number(item.allowed ?? 0)}</span> },
          {
            label: "Refused",
            right: true,
            cell: (item) => (
              <span class="stack-4">
                <span class="number">{number(refusedIn(item.refused))}</span>
                {refusedIn(item.refused) > 0 && <code class="small muted">{list(codesIn(item.refused))}</code>}
              </span>
            ),
          },
        ]}
      />
      {items.length > shown && (
        <div>
          <Button small onClick={() => setShown(shown + SHOWN)}>
            Show {number(Math.min(SHOWN, items.length - shown))} more of {number(items.length)}
          </Button>
        </div>
      )}
    </>
  );
}

/** Who used the key, from where and for what, hour by hour, the newest first. */
export function ActivityTab({ of }: { of: Key }) {
  const [to] = useState(() => hourAfter(serverNow()));
  const [days, setDays] = useState(DAYS);
  const [older, setOlder] = useState<ActivityItem[]>([]);
  const [problem, setProblem] = useState<Problem | null>(null);
  const newest = useResource(of.id, () => readActivity(of.id, to - DAYS * DAY_MS, to));
  if (newest.problem) return <ProblemBox problem={newest.problem} retry={newest.reload} />;
  if (!newest.data) return <Skeleton rows={4} />;
  const items = [...newest.data, ...older];
  const readOlder = async () => {
    setProblem(null);
    try {
      const before = to - days * DAY_MS;
      const more = await readActivity(of.id, before - DAYS * DAY_MS, before);
      setOlder((known) => [...known, ...more]);
      setDays(days + DAYS);
    } catch (error) {
      setProblem(asProblem(error));
    }
  };
  const save = async () => {
    try {
      download(`${of.id}-activity.csv`, await readActivityCsv(of.id, to - days * DAY_MS, to));
    } catch (error) {
      sayProblem(error);
    }
  };
  return (
    <div class="stack-8">
      <div class="row spread">
        <span class="small muted">
          The last {days} days, newest first. New: not seen before the last 24 hours, in the days shown.
        </span>
        {items.length > 0 && (
          <Button small icon="download" onClick={save}>
            Export CSV
          </Button>
        )}
      </div>
      {items.length === 0 ? (
        <Empty>No use of this key is recorded in the last {days} days.</Empty>
      ) : (
        <Uses items={items} since={to - DAY_MS} />
      )}
      <ProblemBox problem={problem} />
      {days < MOST_DAYS && (
        <div>
          <Button small onClick={readOlder}>
            Read {DAYS} earlier days
          </Button>
        </div>
      )}
    </div>
  );
}

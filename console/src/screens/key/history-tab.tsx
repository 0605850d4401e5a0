import { useState } from "preact/hooks";
import { call } from "../../api/client.ts";
import type { AuditEntry, Key, Page } from "../../api/types.ts";
import { href } from "../../app/router.ts";
import { useNames } from "../../app/shared.ts";
import { useResource } from "../../logic/resource.ts";
import { actionWords } from "../../logic/words.ts";
import { Button } from "../../parts/button.tsx";
import { Empty } from "../../parts/empty.tsx";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { Skeleton } from "../../parts/skeleton.tsx";
import { type Moment, Timeline } from "../../parts/timeline.tsx";
import { Changes } from "../audit/changes.tsx";

function momentOf(entry: AuditEntry, names: (id: string) => string): Moment {
  return {
    at: entry.at,
    tone: entry.action === "key.revoke" || entry.action === "key.expose" ? "danger" : undefined,
    what: (
      <div class="stack-4">
        <span>
          <strong class="strong">{actionWords(entry.action)}</strong> <span class="muted">by {names(entry.actor)}</span>
          {entry.detail.client_address && (
            <span class="muted">
              {" "}
              from <span class="mono">{entry.detail.client_address}</span>
            </span>
          )}
        </span>
        <Changes entry={entry} />
      </div>
    ),
  };
}

/** The rotation that made the key: its entry is about the old key. */
const madeBy = (of: Key): Moment[] =>
  of.rotated_from
    ? [
        {
          at: of.created_at,
          what: (
            <span>
              <strong class="strong">Made by the rotation</strong>{" "}
              <span class="muted">
                of{" "}
                <a class="mono" href={href("/key", { id: of.rotated_from, tab: "history" })}>
                  {of.rotated_from}
                </a>
              </span>
            </span>
          ),
        },
      ]
    : [];

/** The audit entries about this key, newest first. */
export function HistoryTab({ of }: { of: Key }) {
  const names = useNames();
  const [older, setOlder] = useState<AuditEntry[]>([]);
  const [cursor, setCursor] = useState<string | null>(null);
  const read = (after: string | null) =>
    call<Page<AuditEntry>>("/audit", { query: { subject: of.id, limit: 200, cursor: after } });
  const first = useResource(`${of.id} ${of.revision}`, async () => {
    const page = await read(null);
    setCursor(page.next_cursor);
    setOlder([]);
    return page.items;
  });
  if (first.problem) return <ProblemBox problem={first.problem} retry={first.reload} />;
  if (!first.data) return <Skeleton rows={3} />;
  const entries = [...first.data, ...older].reverse();
  if (entries.length === 0 && !of.rotated_from) return <Empty>The audit log has no entry about this key.</Empty>;
  const more = async () => {
    const page = await read(cursor);
    setOlder([...older, ...page.items]);
    setCursor(page.next_cursor);
  };
  return (
    <div class="stack">
      {cursor && (
        <div>
          <Button onClick={more}>Load newer entries</Button>
        </div>
      )}
      <Timeline moments={[...entries.map((entry) => momentOf(entry, names)), ...madeBy(of)]} />
    </div>
  );
}

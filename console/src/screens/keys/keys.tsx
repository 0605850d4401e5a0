import { useEffect, useRef, useState } from "preact/hooks";
import { readScreenful } from "../../api/pages.ts";
import type { Page as ApiPage, Key } from "../../api/types.ts";
import { useConsole } from "../../app/context.ts";
import { Page } from "../../app/page.tsx";
import { go, href, setParams, usePlace } from "../../app/router.ts";
import { useResource } from "../../logic/resource.ts";
import { count } from "../../logic/words.ts";
import { Button } from "../../parts/button.tsx";
import { Empty } from "../../parts/empty.tsx";
import { Icon } from "../../parts/icon.tsx";
import { Pager } from "../../parts/pager.tsx";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { Skeleton } from "../../parts/skeleton.tsx";
import { Table } from "../../parts/table.tsx";
import { BulkRevoke } from "./bulk-revoke.tsx";
import { useKeyColumns } from "./columns.tsx";
import { exportAll, exportKeys } from "./export.ts";
import { Filters } from "./filters.tsx";
import { apiQuery, DEFAULT_SORT, FILTERS, PAGE_SIZE } from "./query.ts";

function NoKeys({ filtered, onNext }: { filtered: boolean; onNext: (() => void) | null }) {
  const { rights } = useConsole();
  if (onNext)
    return (
      <Empty action={<Button onClick={onNext}>Look further</Button>}>
        No key fits these filters so far. Not all of them were looked at.
      </Empty>
    );
  if (filtered)
    return (
      <Empty
        action={
          <Button
            onClick={() =>
              setParams({
                ...Object.fromEntries(FILTERS.map((name) => [name, null])),
                env: null,
                cursor: null,
                page: null,
              })
            }
          >
            Clear filters
          </Button>
        }
      >
        No key fits these filters.
      </Empty>
    );
  return (
    <Empty
      action={
        rights.issue && (
          <a class="button primary" href={href("/issue")}>
            Issue the first key
          </a>
        )
      }
    >
      There are no keys yet. Each integration gets one of its own, with only the rights that it needs.
    </Empty>
  );
}

/** Cursors of the pages before this one, so that Previous works without asking the API to count backwards. */
function usePages(query: URLSearchParams, next: string | null) {
  const before = useRef<(string | null)[]>([]);
  const cursor = query.get("cursor");
  const page = Number(query.get("page") ?? 1);
  if (!cursor) before.current = [];
  const previous =
    before.current.length > 0
      ? () => setParams({ cursor: before.current.pop() ?? null, page: page > 2 ? String(page - 1) : null })
      : null;
  return {
    page,
    onPrevious: previous,
    onFirst: cursor && !previous ? () => setParams({ cursor: null, page: null }) : null,
    onNext: next
      ? () => {
          before.current.push(cursor);
          setParams({ cursor: next, page: String(page + 1) });
        }
      : null,
  };
}

function useSelection(rows: Key[], listKey: string) {
  const [selected, setSelected] = useState<Map<string, Key>>(new Map());
  useEffect(() => setSelected(new Map()), [listKey]);
  const all = rows.length > 0 && rows.every(({ id }) => selected.has(id));
  const change = (work: (next: Map<string, Key>) => void) => {
    const next = new Map(selected);
    work(next);
    setSelected(next);
  };
  return {
    keys: [...selected.values()],
    clear: () => setSelected(new Map()),
    table: {
      has: ({ id }: Key) => selected.has(id),
      toggle: (key: Key) => change((next) => next.delete(key.id) || next.set(key.id, key)),
      all,
      toggleAll: () =>
        change((next) => rows.forEach((key) => void (all ? next.delete(key.id) : next.set(key.id, key)))),
      nameOf: ({ name }: Key) => name,
    },
  };
}

export function Keys() {
  const { rights } = useConsole();
  const { query } = usePlace();
  const columns = useKeyColumns();
  const asked = apiQuery(query);
  const cursor = query.get("cursor");
  const listKey = JSON.stringify({ ...asked, cursor });
  const list = useResource<ApiPage<Key>>(
    listKey,
    () => readScreenful<Key>("/keys", { ...asked, cursor }, PAGE_SIZE),
    true,
  );
  const rows = list.data?.items ?? [];
  const pages = usePages(query, list.data?.next_cursor ?? null);
  const selection = useSelection(rows, listKey);
  const [revoking, setRevoking] = useState(false);
  const filtered = Object.entries(asked).some(([name, value]) => name !== "sort" && value);
  const first = (pages.page - 1) * PAGE_SIZE + 1;
  return (
    <Page
      title="Keys"
      actions={
        <>
          <Button icon="download" onClick={() => exportAll(asked)}>
            Export CSV
          </Button>
          {rights.issue && (
            <a class="button primary" href={href("/issue")}>
              <Icon name="plus" />
              Issue key
            </a>
          )}
        </>
      }
    >
      <Filters />
      {selection.keys.length > 0 && (
        <section class="selection-bar" aria-label="Selected keys">
          <span class="grow" aria-live="polite">
            {count(selection.keys.length, "key")} selected
          </span>
          <Button small onClick={() => exportKeys(selection.keys)}>
            Export CSV
          </Button>
          {rights.revoke && (
            <Button small kind="danger" onClick={() => setRevoking(true)}>
              Revoke {count(selection.keys.length, "key")}
            </Button>
          )}
          <Button small kind="quiet" onClick={selection.clear}>
            Clear selection
          </Button>
        </section>
      )}
      <ProblemBox problem={list.problem} retry={list.reload} />
      <div aria-busy={list.loading}>
        {!list.data && list.loading && (
          <div class="panel">
            <Skeleton rows={8} height={52} />
          </div>
        )}
        {list.data && rows.length === 0 && (
          <div class="panel">
            <NoKeys filtered={filtered} onNext={pages.onNext} />
          </div>
        )}
        {rows.length > 0 && (
          <Table
            caption="Keys"
            columns={columns}
            rows={rows}
            idOf={({ id }) => id}
            sort={query.get("sort") ?? DEFAULT_SORT}
            onSort={(sort) => setParams({ sort, cursor: null, page: null })}
            selection={selection.table}
            opens
          />
        )}
        {rows.length > 0 && <Pager shown={`Keys ${first} to ${first + rows.length - 1}`} {...pages} />}
      </div>
      {revoking && (
        <BulkRevoke
          keys={selection.keys}
          onClose={() => setRevoking(false)}
          onDone={(address) => {
            setRevoking(false);
            selection.clear();
            if (address) go(address);
            else list.reload();
          }}
        />
      )}
    </Page>
  );
}

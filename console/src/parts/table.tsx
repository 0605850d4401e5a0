import type { ComponentChildren } from "preact";
import { Icon } from "./icon.tsx";

export interface Column<T> {
  /** Heading, and label of the cell on a phone. An empty one is for cells that need none. */
  label: string;
  cell: (row: T) => ComponentChildren;
  /** Name in the `sort` parameter. */
  sort?: string;
  right?: boolean;
  tight?: boolean;
}

interface Props<T> {
  caption: string;
  columns: Column<T>[];
  rows: T[];
  idOf: (row: T) => string | number;
  /** Current sort, such as `-created_at`. */
  sort?: string;
  onSort?: (sort: string) => void;
  selection?: {
    has: (row: T) => boolean;
    toggle: (row: T) => void;
    all: boolean;
    toggleAll: () => void;
    nameOf: (row: T) => string;
  };
  opens?: boolean;
}

function Heading<T>({ column, sort, onSort }: { column: Column<T>; sort?: string; onSort?: (sort: string) => void }) {
  const name = column.sort;
  const classes = column.right ? "right" : undefined;
  if (!name || !onSort) {
    return (
      <th scope="col" class={classes}>
        {column.label || <span class="hidden-label">Actions</span>}
      </th>
    );
  }
  const descending = sort === `-${name}`;
  const sorted = descending || sort === name;
  return (
    <th scope="col" class={classes} aria-sort={sorted ? (descending ? "descending" : "ascending") : undefined}>
      <button type="button" class="sort" onClick={() => onSort(sorted && !descending ? `-${name}` : name)}>
        {column.label}
        {sorted && <Icon name={descending ? "down" : "up"} />}
      </button>
    </th>
  );
}

/** A table. On a phone each row is a card whose cells say their column's name. */
export function Table<T>({ caption, columns, rows, idOf, sort, onSort, selection, opens }: Props<T>) {
  return (
    <section class="table-wrap" aria-label={caption}>
      <table class="cards">
        <caption class="hidden-label">{caption}</caption>
        <thead>
          <tr>
            {selection && (
              <th scope="col" class="tight">
                <input
                  type="checkbox"
                  aria-label="Select all on this page"
                  checked={selection.all}
                  onChange={selection.toggleAll}
                />
              </th>
            )}
            {columns.map((column) => (
              <Heading key={column.label} column={column} sort={sort} onSort={onSort} />
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={idOf(row)} class={opens ? "opens" : undefined} aria-selected={selection?.has(row) || undefined}>
              {selection && (
                <td class="tight above" data-label="">
                  <input
                    type="checkbox"
                    aria-label={`Select ${selection.nameOf(row)}`}
                    checked={selection.has(row)}
                    onChange={() => selection.toggle(row)}
                  />
                </td>
              )}
              {columns.map((column) => (
                <td
                  key={column.label}
                  data-label={column.label}
                  class={[column.right && "right", column.tight && "tight"].filter(Boolean).join(" ") || undefined}
                >
                  <div>{column.cell(row)}</div>
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

import { byPath, type RouteRow } from "../logic/rights.ts";

/** Routes, path by path, with their methods. */
export function RoutesList({ rows }: { rows: RouteRow[] }) {
  return (
    <span class="stack-4 routes">
      {byPath(rows).map(({ path, methods }) => (
        <span key={path} class="row small route">
          <span class="methods">
            {methods.map((method) => (
              <span key={method} class="method">
                {method === "*" ? "any" : method}
              </span>
            ))}
          </span>
          <span class="mono">{path}</span>
        </span>
      ))}
    </span>
  );
}

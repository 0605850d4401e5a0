import type { Problem } from "../../api/problem.ts";
import { useRoutes } from "../../app/shared.ts";
import { scopesOf } from "../../logic/rights.ts";
import { count } from "../../logic/words.ts";
import { errorOf, TextField } from "../../parts/field.tsx";
import { RoutesList } from "../../parts/routes-list.tsx";
import { Skeleton } from "../../parts/skeleton.tsx";

interface Props {
  scopes: string[];
  onScopes: (scopes: string[]) => void;
  problem: Problem | null;
}

/** Scopes by the routes that they open. Without a route table to read, scopes are typed. */
export function ScopesField({ scopes, onScopes, problem }: Props) {
  const { data: routes, loading } = useRoutes();
  const error = errorOf(problem, "scopes");
  if (loading) return <Skeleton rows={4} />;
  if (!routes) {
    return (
      <TextField
        label="Scopes"
        hint="Separated by spaces. Each is a scope that a route needs, such as contacts:read."
        error={error}
        value={scopes.join(" ")}
        onValue={(text) => onScopes(text.split(" "))}
        autocapitalize="off"
        spellcheck={false}
        required
      />
    );
  }
  const known = scopesOf(routes);
  // A scope that no route uses any more can be taken away, but not given.
  for (const scope of scopes) if (!known.has(scope)) known.set(scope, []);
  const toggle = (scope: string) =>
    onScopes(scopes.includes(scope) ? scopes.filter((one) => one !== scope) : [...scopes, scope]);
  return (
    <fieldset class="field" aria-describedby={error ? "scopes-error" : undefined}>
      <legend class="row spread" style={{ width: "100%" }}>
        <span style={{ fontWeight: 500 }}>Scopes, and the routes they open</span>
        <span class="small muted" style={{ fontWeight: 400 }} aria-live="polite">
          {count(scopes.length, "scope")} of {known.size}
        </span>
      </legend>
      <div class="panel">
        {[...known].map(([scope, rows]) => (
          <label key={scope} class="scope-row">
            <input type="checkbox" checked={scopes.includes(scope)} onChange={() => toggle(scope)} />
            <span class="mono">{scope}</span>
            {rows.length > 0 ? <RoutesList rows={rows} /> : <span class="small muted">No route needs this scope.</span>}
          </label>
        ))}
      </div>
      {error && (
        <span class="error" id="scopes-error">
          {error}
        </span>
      )}
      {scopes.length > 1 && scopes.length === known.size && (
        <span class="hint">That is every scope of the table. Does the integration need all of them?</span>
      )}
    </fieldset>
  );
}

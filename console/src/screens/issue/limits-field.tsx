import type { Problem } from "../../api/problem.ts";
import type { Limit } from "../../api/types.ts";
import { limitInWords, sustainedPerMinute } from "../../logic/rights.ts";
import { number } from "../../logic/words.ts";
import { Button } from "../../parts/button.tsx";
import { errorOf } from "../../parts/field.tsx";

const WINDOWS: [value: string, text: string][] = [
  ["1", "any second"],
  ["10", "any 10 seconds"],
  ["60", "any minute"],
  ["3600", "any hour"],
  ["86400", "any 24 hours"],
  ["day", "a day (UTC)"],
  ["month", "a month (UTC)"],
];
const MOST = 4;

const windowOf = (limit: Limit) => limit.period ?? String(limit.seconds ?? 60);

function withWindow(limit: Limit, window: string): Limit {
  const { name, requests } = limit;
  return window === "day" || window === "month"
    ? { name, requests, period: window }
    : { name, requests, seconds: Number(window) };
}

/** A name that the other limits do not have: `burst`, `daily`, `limit-3`. */
function freshName(limits: Limit[]): string {
  const taken = new Set(limits.map(({ name }) => name));
  return ["burst", "daily", "monthly"].find((name) => !taken.has(name)) ?? `limit-${limits.length + 1}`;
}

/** Up to four limits, each with what it means as a steady rate. */
export function LimitsField({
  limits,
  onLimits,
  problem,
}: {
  limits: Limit[];
  onLimits: (limits: Limit[]) => void;
  problem: Problem | null;
}) {
  const change = (at: number, limit: Limit) => onLimits(limits.map((one, index) => (index === at ? limit : one)));
  const error = errorOf(problem, "limits");
  return (
    <fieldset class="field">
      <legend style={{ fontWeight: 500 }}>
        Limits <span class="optional">(optional)</span>
      </legend>
      <div class="stack-8">
        {limits.map((limit, at) => {
          const rate = sustainedPerMinute(limit);
          const named = windowOf(limit);
          return (
            <div key={at} class="stack-4">
              <div class="row">
                <input
                  type="text"
                  aria-label={`Name of limit ${at + 1}`}
                  value={limit.name}
                  style={{ width: "120px" }}
                  onInput={(event) => change(at, { ...limit, name: event.currentTarget.value })}
                />
                <input
                  type="number"
                  min={1}
                  max={1_000_000_000}
                  aria-label={`Requests of limit ${at + 1}`}
                  value={limit.requests}
                  style={{ width: "120px" }}
                  onInput={(event) => change(at, { ...limit, requests: event.currentTarget.valueAsNumber || 0 })}
                />
                <span>requests in</span>
                <select
                  aria-label={`Window of limit ${at + 1}`}
                  value={named}
                  style={{ width: "150px" }}
                  onChange={(event) => change(at, withWindow(limit, event.currentTarget.value))}
                >
                  {!WINDOWS.some(([value]) => value === named) && <option value={named}>any {named} seconds</option>}
                  {WINDOWS.map(([value, text]) => (
                    <option key={value} value={value}>
                      {text}
                    </option>
                  ))}
                </select>
                <Button
                  small
                  icon="close"
                  label={`Remove limit ${at + 1}`}
                  onClick={() => onLimits(limits.filter((_, index) => index !== at))}
                />
              </div>
              <span class="hint">
                Never more than {limitInWords(limit)}, in all locations together.
                {rate !== null && rate >= 1 && ` A steady caller gets about ${number(Math.floor(rate))} a minute.`}
              </span>
            </div>
          );
        })}
      </div>
      {error && <span class="error">{error}</span>}
      {limits.length < MOST && (
        <div>
          <Button
            small
            icon="plus"
            onClick={() => onLimits([...limits, { name: freshName(limits), requests: 100, seconds: 60 }])}
          >
            Add a limit
          </Button>
        </div>
      )}
    </fieldset>
  );
}

import type { ComponentChildren } from "preact";
import { useId, useState } from "preact/hooks";
import type { Problem } from "../../api/problem.ts";
import type { Limit } from "../../api/types.ts";
import { limitInWords, sustainedPerMinute } from "../../logic/rights.ts";
import { number } from "../../logic/words.ts";
import { Button } from "../../parts/button.tsx";
import { WithCode } from "../../parts/with-code.tsx";

const WINDOWS: [value: string, text: string][] = [
  ["1", "any second"],
  ["10", "any 10 seconds"],
  ["60", "any minute"],
  ["3600", "any hour"],
  ["86400", "any 24 hours"],
  ["day", "a day (UTC)"],
  ["month", "a month (UTC)"],
];
const OTHER = "other";
const OTHER_SECONDS = 300;
const MOST = 4;
const MOST_REQUESTS = 1_000_000_000;
const MOST_SECONDS = 86_400;

const windowOf = (limit: Limit) => limit.period ?? String(limit.seconds ?? 60);

function withWindow({ name, requests }: Limit, window: string): Limit {
  if (window === "day" || window === "month") return { name, requests, period: window };
  return { name, requests, seconds: window === OTHER ? OTHER_SECONDS : Number(window) };
}

/** A name that the other limits do not have: `burst`, `daily`, `limit-3`. */
function freshName(limits: Limit[]): string {
  const taken = new Set(limits.map(({ name }) => name));
  const names = [
    "burst",
    "daily",
    "monthly",
    ...limits.map((_, at) => `limit-${at + 1}`),
    `limit-${limits.length + 1}`,
  ];
  return names.find((name) => !taken.has(name)) ?? "";
}

/** The problem's text if it is about one limit, or about a field of it. */
function errorAt(problem: Problem | null, at: number): string | null {
  const name = `limits[${at}]`;
  return problem?.field === name || problem?.field?.startsWith(`${name}.`) ? problem.message : null;
}

function Cell({ label, children }: { label: string; children: (id: string) => ComponentChildren }) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children(id)}
    </div>
  );
}

interface RowProps {
  limit: Limit;
  at: number;
  error: string | null;
  onLimit: (limit: Limit) => void;
  onRemove: () => void;
}

/** One limit: name, number and window, and beneath it what they mean. */
function Row({ limit, at, error, onLimit, onRemove }: RowProps) {
  const named = windowOf(limit);
  // A number that is typed may pass through one of the list.
  const [isTyped, setIsTyped] = useState(!WINDOWS.some(([value]) => value === named));
  const rate = sustainedPerMinute(limit);
  const choose = (value: string) => {
    setIsTyped(value === OTHER);
    onLimit(withWindow(limit, value));
  };
  const invalid = error ? ("true" as const) : undefined;
  return (
    <fieldset class="limit stack-8" aria-label={`Limit ${at + 1}`}>
      <div class="limit-fields">
        <Cell label="Name">
          {(id) => (
            <input
              id={id}
              type="text"
              maxLength={32}
              autocapitalize="off"
              autocomplete="off"
              spellcheck={false}
              aria-invalid={invalid}
              value={limit.name}
              onInput={(event) => onLimit({ ...limit, name: event.currentTarget.value })}
            />
          )}
        </Cell>
        <Cell label="Requests">
          {(id) => (
            <input
              id={id}
              type="number"
              min={1}
              max={MOST_REQUESTS}
              aria-invalid={invalid}
              value={limit.requests || ""}
              onInput={(event) => onLimit({ ...limit, requests: event.currentTarget.valueAsNumber || 0 })}
            />
          )}
        </Cell>
        <Cell label="In">
          {(id) => (
            <select id={id} value={isTyped ? OTHER : named} onChange={(event) => choose(event.currentTarget.value)}>
              {WINDOWS.map(([value, text]) => (
                <option key={value} value={value}>
                  {text}
                </option>
              ))}
              <option value={OTHER}>other seconds</option>
            </select>
          )}
        </Cell>
        {isTyped && (
          <Cell label="Seconds">
            {(id) => (
              <input
                id={id}
                type="number"
                min={1}
                max={MOST_SECONDS}
                aria-invalid={invalid}
                value={limit.seconds || ""}
                onInput={(event) => onLimit({ ...limit, seconds: event.currentTarget.valueAsNumber || 0 })}
              />
            )}
          </Cell>
        )}
        <Button icon="close" kind="quiet" label={`Remove limit ${at + 1}`} onClick={onRemove} />
      </div>
      <span class="hint">
        Never more than {limitInWords(limit)}, in all locations together.
        {rate !== null && rate >= 1 && ` A steady caller gets about ${number(Math.floor(rate))} a minute.`}
      </span>
      {error && (
        <span class="error">
          <WithCode text={error} />
        </span>
      )}
    </fieldset>
  );
}

interface Props {
  limits: Limit[];
  onLimits: (limits: Limit[]) => void;
  problem: Problem | null;
  /** What no limit means. */
  absent: string;
}

/** Up to four limits, each with what it means as a steady rate. */
export function LimitsField({ limits, onLimits, problem, absent }: Props) {
  const ofAll = problem?.field === "limits" ? problem.message : null;
  return (
    <fieldset class="field">
      <legend style={{ fontWeight: 500 }}>
        Limits <span class="optional">(optional)</span>
      </legend>
      {limits.length === 0 ? (
        <span class="hint">{absent}</span>
      ) : (
        <div class="panel">
          {limits.map((limit, at) => (
            <Row
              key={at}
              limit={limit}
              at={at}
              error={errorAt(problem, at)}
              onLimit={(next) => onLimits(limits.map((one, index) => (index === at ? next : one)))}
              onRemove={() => onLimits(limits.filter((_, index) => index !== at))}
            />
          ))}
        </div>
      )}
      {ofAll && (
        <span class="error">
          <WithCode text={ofAll} />
        </span>
      )}
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

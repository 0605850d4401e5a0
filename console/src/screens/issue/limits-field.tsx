import { useId, useState } from "preact/hooks";
import type { Problem } from "../../api/problem.ts";
import type { Limit } from "../../api/types.ts";
import { limitInWords, sustainedPerMinute } from "../../logic/rights.ts";
import { number } from "../../logic/words.ts";
import { Button } from "../../parts/button.tsx";
import { errorOf, Field } from "../../parts/field.tsx";
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
/** Names that are proposed. As many as there may be limits, so one of them is free. */
const NAMES = ["burst", "daily", "monthly", "other"];
const MOST_REQUESTS = 1_000_000_000;
const MOST_SECONDS = 86_400;

const windowOf = (limit: Limit) => limit.period ?? String(limit.seconds ?? 60);

function withWindow({ name, requests }: Limit, window: string): Limit {
  if (window === "day" || window === "month") return { name, requests, period: window };
  return { name, requests, seconds: window === OTHER ? OTHER_SECONDS : Number(window) };
}

/** A name that the other limits do not have. */
const freshName = (limits: Limit[]) => NAMES.find((name) => limits.every((limit) => limit.name !== name)) ?? "";

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
  const id = useId();
  const described = error ? `${id}-error ${id}-hint` : `${id}-hint`;
  /** The hint and the error are about all fields of the limit. */
  const ofLimit = { "aria-describedby": described, "aria-invalid": error ? ("true" as const) : undefined };
  return (
    <fieldset class="limit stack-8" aria-label={`Limit ${at + 1}`}>
      <div class="limit-fields">
        <Field label="Name">
          {(aria) => (
            <input
              {...aria}
              {...ofLimit}
              type="text"
              maxLength={32}
              autocapitalize="off"
              autocomplete="off"
              spellcheck={false}
              value={limit.name}
              onInput={(event) => onLimit({ ...limit, name: event.currentTarget.value })}
            />
          )}
        </Field>
        <Field label="Requests">
          {(aria) => (
            <input
              {...aria}
              {...ofLimit}
              type="number"
              min={1}
              max={MOST_REQUESTS}
              value={limit.requests || ""}
              onInput={(event) => onLimit({ ...limit, requests: event.currentTarget.valueAsNumber || 0 })}
            />
          )}
        </Field>
        <Field label="In">
          {(aria) => (
            <select
              {...aria}
              {...ofLimit}
              value={isTyped ? OTHER : named}
              onChange={(event) => choose(event.currentTarget.value)}
            >
              {WINDOWS.map(([value, text]) => (
                <option key={value} value={value}>
                  {text}
                </option>
              ))}
              <option value={OTHER}>other seconds</option>
            </select>
          )}
        </Field>
        {isTyped && (
          <Field label="Seconds">
            {(aria) => (
              <input
                {...aria}
                {...ofLimit}
                type="number"
                min={1}
                max={MOST_SECONDS}
                value={limit.seconds || ""}
                onInput={(event) => onLimit({ ...limit, seconds: event.currentTarget.valueAsNumber || 0 })}
              />
            )}
          </Field>
        )}
        <Button icon="close" kind="quiet" label={`Remove limit ${at + 1}`} onClick={onRemove} />
      </div>
      <span class="hint" id={`${id}-hint`}>
        Never more than {limitInWords(limit)}, in all locations together.
        {rate !== null && rate >= 1 && ` A steady caller gets about ${number(Math.floor(rate))} a minute.`}
      </span>
      {error && (
        <span class="error" id={`${id}-error`}>
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
              // Removing one gives the others new places, and their windows are shown anew.
              key={`${limits.length} ${at}`}
              limit={limit}
              at={at}
              error={errorOf(problem, `limits[${at}]`)}
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

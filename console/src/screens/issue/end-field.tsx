import type { Problem } from "../../api/problem.ts";
import { useNow } from "../../logic/now.ts";
import { DAY_MS, date, dateField } from "../../logic/time.ts";
import { Choices } from "../../parts/choices.tsx";
import { errorOf, TextField } from "../../parts/field.tsx";

/** Days from now, or the end of a day as `2027-02-24`. */
export type End = { days: number } | { date: string };

export const endOf = (end: End, now: number): number =>
  "days" in end ? now + end.days * DAY_MS : Date.parse(`${end.date}T23:59:59Z`);

/** The fields of the API for an end. */
export function endBody(end: End) {
  return "days" in end ? { expires_in_days: end.days } : { expires_at: `${end.date}T23:59:59Z` };
}

export function EndField({
  end,
  onEnd,
  problem,
  most,
}: {
  end: End;
  onEnd: (end: End) => void;
  problem: Problem | null;
  most: number;
}) {
  const now = useNow(60_000);
  const until = endOf(end, now);
  const error = errorOf(problem, "expires_at") ?? errorOf(problem, "expires_in_days");
  const days = [30, 90, 180].filter((count) => count <= most);
  return (
    <div class="stack-8">
      <Choices
        legend="Ends after"
        choices={[
          ...days.map((count) => ({ value: String(count), label: `${count} days` })),
          { value: "date", label: "On a date" },
        ]}
        value={"days" in end ? String(end.days) : "date"}
        onValue={(value) => onEnd(value === "date" ? { date: dateField(until) } : { days: Number(value) })}
        hint={Number.isFinite(until) ? `Until ${date(until)}. It can be rotated before, without an outage.` : undefined}
      />
      {"date" in end && (
        <TextField
          label="Last day (UTC)"
          type="date"
          value={end.date}
          min={dateField(now)}
          max={dateField(now + (most - 1) * DAY_MS)}
          onValue={(value) => onEnd({ date: value })}
          error={error}
        />
      )}
      {"days" in end && error && <span class="error-text">{error}</span>}
    </div>
  );
}

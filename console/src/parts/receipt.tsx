import type { Receipt as Times } from "../api/types.ts";
import { useNow } from "../logic/now.ts";
import { clockSeconds, countdown, momentWithLocal } from "../logic/time.ts";
import { capital } from "../logic/words.ts";

interface Props extends Times {
  /** When the authority made the change. */
  changedAt: string | null;
  /** When the answer arrived here, by the clock of `serverNow`, if it did on this page. */
  receivedAt?: number;
  /** What holds then: "off everywhere". */
  outcome: string;
}

/** Until when a change holds everywhere: a countdown to `effective_by`, then the outcome. */
export function Receipt({ changedAt, receivedAt, effective_by, guaranteed_by, outcome }: Props) {
  const effective = Date.parse(effective_by);
  // Counted from the arrival of the answer, so that a wrong clock on this machine cannot end the countdown early.
  const end = receivedAt !== undefined && changedAt ? receivedAt + effective - Date.parse(changedAt) : effective;
  const now = useNow(250);
  const left = end - now;
  const done = left <= 0;
  const guaranteed = Date.parse(guaranteed_by);
  return (
    <section class={`receipt ${done ? "done" : "pending"}`} aria-label="When the change holds">
      <div class="clock" aria-hidden="true">
        {done ? "✓" : countdown(left)}
      </div>
      <div class="stack-4">
        <strong class="strong" role="status">
          {done ? capital(outcome) : `${capital(outcome)} by ${clockSeconds(effective)} UTC`}
        </strong>
        <span>
          {done
            ? `Every location has followed the change since ${momentWithLocal(effective)}, as long as the authority answers.`
            : "Each location learns of the change within the bound. You need not wait on this page."}
        </span>
        <span class="small">
          {guaranteed <= now
            ? "The guarantee for an outage of the authority has passed too: the change holds whatever fails."
            : `If the authority cannot be reached, locations refuse everything they cannot confirm by ${clockSeconds(guaranteed)} UTC: by then it holds whatever fails.`}
        </span>
      </div>
    </section>
  );
}

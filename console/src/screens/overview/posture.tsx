import { call, serverNow } from "../../api/client.ts";
import type { Finding, Posture } from "../../api/types.ts";
import { href } from "../../app/router.ts";
import { useResource } from "../../logic/resource.ts";
import { DAY_MS } from "../../logic/time.ts";
import { capital, count, list, number } from "../../logic/words.ts";
import { Chip, type Tone } from "../../parts/chip.tsx";
import { Empty } from "../../parts/empty.tsx";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { Skeleton } from "../../parts/skeleton.tsx";
import { Time } from "../../parts/time.tsx";

const SHOWN = 5;
const NEW_DAYS = 7;
const SEVERITIES = ["critical", "high", "medium", "low"] as const;
const TONES: Record<Finding["severity"], { tone: Tone; shape: string }> = {
  critical: { tone: "danger", shape: "◼" },
  high: { tone: "danger", shape: "▲" },
  medium: { tone: "warning", shape: "◆" },
  low: { tone: "quiet", shape: "○" },
};

/** What the button of a fix says, by the operation that makes it. */
function fixName(fix: NonNullable<Finding["fix"]>): string {
  const last = fix.path.split("/").pop() ?? "";
  const names: Record<string, string> = {
    rotate: "Rotate",
    revoke: "Revoke",
    members: "Add an owner",
    "dismiss-exposure": "Decide",
    compromise: "Open incident",
  };
  return names[last] ?? (fix.method === "PATCH" ? "Change" : "Open");
}

/** Where a person makes the fix: always with a look at the key first. */
function placeOf(finding: Finding): string {
  if (finding.key_id) return href("/key", { id: finding.key_id });
  const path = finding.fix?.path ?? "";
  if (path.includes("/members")) return href("/members");
  return path.includes("/endpoints") ? href("/events") : href("/keys");
}

/** "12 findings, 3 of them new in the last 7 days: 1 critical and 2 low." A finding that ended is in no answer of the API. */
function summary({ findings, by_rule }: Posture): string {
  if (findings.length === 0) return "Nothing was found.";
  const found = Object.values(by_rule).reduce((sum, rule) => sum + rule.found, 0);
  const since = serverNow() - NEW_DAYS * DAY_MS;
  const fresh = findings.filter((finding) => Date.parse(finding.since) >= since);
  const all = count(found, "finding");
  if (fresh.length === 0) return `${all}, none of them new in the last ${NEW_DAYS} days.`;
  const bySeverity = SEVERITIES.map((severity) => ({
    severity,
    many: fresh.filter((finding) => finding.severity === severity).length,
  })).filter(({ many }) => many > 0);
  const many = fresh.length === found ? "all" : number(fresh.length);
  const least = findings.length < found ? "at least " : "";
  const named = list(bySeverity.map(({ severity, many }) => `${number(many)} ${severity}`));
  return `${all}, ${least}${many} of them new in the last ${NEW_DAYS} days: ${named}.`;
}

/** How well keys are kept: the score, what is new, and the findings that weigh most. */
export function PosturePanel() {
  const posture = useResource<Posture>("posture", () => call<Posture>("/posture"));
  const findings = posture.data?.findings ?? [];
  return (
    <section>
      <div class="section-head">
        <h2>Posture</h2>
        {posture.at && (
          <span class="small muted">
            counted <Time at={posture.at} />
          </span>
        )}
      </div>
      <ProblemBox problem={posture.problem} retry={posture.reload} />
      {!posture.data && posture.loading && <Skeleton rows={4} />}
      {posture.data && (
        <div class="panel">
          <div class="panel-body row" style={{ borderBottom: "1px solid var(--line)" }}>
            <strong class="score">{posture.data.score}</strong>
            <span class="muted">of 100. {summary(posture.data)}</span>
          </div>
          {findings.length === 0 && <Empty>Every key follows the guide.</Empty>}
          <ul>
            {findings.slice(0, SHOWN).map((finding) => (
              <li key={`${finding.rule} ${finding.fix?.path} ${finding.detail}`} class="finding">
                <Chip tone={TONES[finding.severity]?.tone} shape={TONES[finding.severity]?.shape}>
                  {capital(finding.severity)}
                </Chip>
                <span class="grow">
                  {finding.detail}{" "}
                  <span class="small muted">
                    <span class="mono">{finding.key_id ?? finding.member_id}</span> since <Time at={finding.since} />
                  </span>
                </span>
                {finding.fix && (
                  <a class="button small" href={placeOf(finding)}>
                    {fixName(finding.fix)}
                  </a>
                )}
              </li>
            ))}
          </ul>
          {findings.length > SHOWN && (
            <p class="panel-body small muted">The {SHOWN} findings that weigh most. Without any the score is 100.</p>
          )}
        </div>
      )}
    </section>
  );
}

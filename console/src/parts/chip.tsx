import type { ComponentChildren } from "preact";
import type { Environment, KeyStatus } from "../api/types.ts";
import { capital } from "../logic/words.ts";

export type Tone = "ok" | "warning" | "danger" | "quiet" | "accent";

export function Chip({ tone, shape, children }: { tone?: Tone; shape?: string; children: ComponentChildren }) {
  return (
    <span class={`chip ${tone ?? ""}`}>
      {shape && (
        <span class="shape" aria-hidden="true">
          {shape}
        </span>
      )}
      {children}
    </span>
  );
}

const STATUS: Record<string, { tone: Tone; shape: string }> = {
  active: { tone: "ok", shape: "●" },
  retiring: { tone: "warning", shape: "◐" },
  pending: { tone: "accent", shape: "○" },
  quarantined: { tone: "danger", shape: "◼" },
  expired: { tone: "quiet", shape: "–" },
  revoked: { tone: "quiet", shape: "✕" },
};

/** A status is a word with a shape, so that its colour says nothing new. */
export function StatusChip({ status }: { status: KeyStatus | "active" | "expired" | "revoked" }) {
  const look = STATUS[status];
  return (
    <Chip tone={look?.tone} shape={look?.shape}>
      {capital(status)}
    </Chip>
  );
}

/** Live is filled, test is outlined. */
export function EnvironmentChip({ environment }: { environment: Environment }) {
  return <span class={`chip ${environment}`}>{capital(environment)}</span>;
}

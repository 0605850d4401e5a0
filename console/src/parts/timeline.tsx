import type { ComponentChildren } from "preact";
import { Time } from "./time.tsx";

export interface Moment {
  at: string | null;
  what: ComponentChildren;
  tone?: "ok" | "danger";
}

/** Moments in their order. One without a time has not happened yet. */
export function Timeline({ moments }: { moments: Moment[] }) {
  return (
    <ol class="timeline">
      {moments.map((moment, at) => (
        <li key={at} class={moment.tone}>
          <div>{moment.what}</div>
          <div class="small muted">
            <Time at={moment.at} absent="not yet" />
          </div>
        </li>
      ))}
    </ol>
  );
}

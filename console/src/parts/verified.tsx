import type { ComponentChildren } from "preact";
import { Chip } from "./chip.tsx";

/** The result of a check that this browser made. */
export function Verified({
  result,
  children,
}: {
  result: "verified" | "checking" | "wrong" | "incomplete";
  children: ComponentChildren;
}) {
  const look = {
    verified: { tone: "ok", shape: "✓" },
    checking: { tone: "accent", shape: "…" },
    wrong: { tone: "danger", shape: "✕" },
    incomplete: { tone: "warning", shape: "!" },
  } as const;
  return (
    <Chip tone={look[result].tone} shape={look[result].shape}>
      {children}
    </Chip>
  );
}

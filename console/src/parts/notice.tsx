import type { ComponentChildren } from "preact";
import { Icon } from "./icon.tsx";

const ICONS = { ok: "check", info: "info", warning: "warning", danger: "warning" } as const;

/** A message that stays. `alert` interrupts a screen reader. */
export function Notice({
  tone,
  children,
  alert,
}: {
  tone: keyof typeof ICONS;
  children: ComponentChildren;
  alert?: boolean;
}) {
  return (
    <div class={`notice ${tone}`} role={alert ? "alert" : undefined}>
      <Icon name={ICONS[tone]} />
      <div class="grow stack-4">{children}</div>
    </div>
  );
}

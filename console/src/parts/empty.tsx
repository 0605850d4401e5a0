import type { ComponentChildren } from "preact";

/** Nothing to show: one sentence, one action. */
export function Empty({ children, action }: { children: ComponentChildren; action?: ComponentChildren }) {
  return (
    <div class="empty">
      <p>{children}</p>
      {action}
    </div>
  );
}

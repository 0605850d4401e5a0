import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

/** A button that opens a short list of actions. It closes on Escape, on a click elsewhere, and when the focus leaves it. */
export function Menu({
  label,
  summary,
  children,
  summaryClass = "button quiet icon small",
}: {
  /** Name of a button that shows only an icon. */
  label?: string;
  summary: ComponentChildren;
  children: ComponentChildren;
  summaryClass?: string;
}) {
  const ref = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    const close = (event: Event) => {
      const menu = ref.current;
      if (menu?.open && !menu.contains(event.target as Node)) menu.open = false;
    };
    document.addEventListener("pointerdown", close);
    document.addEventListener("focusin", close);
    return () => {
      document.removeEventListener("pointerdown", close);
      document.removeEventListener("focusin", close);
    };
  }, []);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "Escape" || !ref.current?.open) return;
    event.stopPropagation();
    ref.current.open = false;
    ref.current.querySelector("summary")?.focus();
  };
  const onClick = (event: MouseEvent) => {
    if ((event.target as Element).closest("button, a") && ref.current) ref.current.open = false;
  };
  return (
    <details class="menu above" ref={ref} onKeyDown={onKeyDown}>
      <summary class={summaryClass} aria-label={label} title={label}>
        {summary}
      </summary>
      {/* biome-ignore lint/a11y/useKeyWithClickEvents: the buttons inside take the keyboard; this closes the list after them */}
      {/* biome-ignore lint/a11y/noStaticElementInteractions: the same */}
      <div class="menu-panel" onClick={onClick}>
        {children}
      </div>
    </details>
  );
}

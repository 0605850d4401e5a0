import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

const GAP = 4;

/**
 * Places the list below its button, or above it where there is more room. It is placed in the window, because a table that scrolls would
 * cut it off.
 */
function placeAt(panel: HTMLElement, button: DOMRect) {
  const below = innerHeight - button.bottom - 2 * GAP;
  const above = button.top - 2 * GAP;
  const isAbove = panel.scrollHeight > below && above > below;
  panel.style.top = isAbove ? "auto" : `${button.bottom + GAP}px`;
  panel.style.bottom = isAbove ? `${innerHeight - button.top + GAP}px` : "auto";
  panel.style.right = `${document.documentElement.clientWidth - button.right}px`;
  panel.style.maxHeight = `${isAbove ? above : below}px`;
}

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
  const [open, setOpen] = useState(false);
  useLayoutEffect(() => {
    const [summary, panel] = [ref.current?.firstElementChild, ref.current?.lastElementChild];
    if (!open || !summary || !(panel instanceof HTMLElement)) return;
    const place = () => placeAt(panel, summary.getBoundingClientRect());
    place();
    // The places that scroll are around the menu, and their events do not bubble.
    document.addEventListener("scroll", place, { capture: true, passive: true });
    addEventListener("resize", place);
    return () => {
      document.removeEventListener("scroll", place, { capture: true });
      removeEventListener("resize", place);
    };
  }, [open]);
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
    <details class="menu above" ref={ref} onKeyDown={onKeyDown} onToggle={() => setOpen(ref.current?.open ?? false)}>
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

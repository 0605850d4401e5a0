import type { ComponentChildren } from "preact";
import { useId, useRef, useState } from "preact/hooks";

/** More about a word, on hover and on focus. Placed by the window, because tables clip what leaves them. */
export function HoverCard({ summary, children }: { summary: ComponentChildren; children: ComponentChildren }) {
  const [spot, setSpot] = useState<{ left: number; top: number; above: boolean } | null>(null);
  const button = useRef<HTMLButtonElement>(null);
  const id = useId();
  const show = () => {
    const box = button.current?.getBoundingClientRect();
    if (!box) return;
    const above = box.bottom > innerHeight * 0.6;
    setSpot({
      left: Math.max(12, Math.min(box.left, innerWidth - 332)),
      top: above ? innerHeight - box.top + 4 : box.bottom + 4,
      above,
    });
  };
  const hide = () => setSpot(null);
  return (
    <span class="above">
      <button
        ref={button}
        type="button"
        class="dotted"
        aria-describedby={spot ? id : undefined}
        onPointerEnter={show}
        onPointerLeave={hide}
        onFocus={show}
        onBlur={hide}
        onKeyDown={(event) => event.key === "Escape" && hide()}
      >
        {summary}
      </button>
      {spot && (
        <span
          role="tooltip"
          id={id}
          class="hover-card"
          style={{ left: `${spot.left}px`, [spot.above ? "bottom" : "top"]: `${spot.top}px` }}
        >
          {children}
        </span>
      )}
    </span>
  );
}

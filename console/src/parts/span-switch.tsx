import type { Span } from "../logic/usage.ts";

const SPANS: [Span, string][] = [
  ["24h", "24 hours"],
  ["7d", "7 days"],
  ["30d", "30 days"],
];

export function SpanSwitch({ value, onValue }: { value: Span; onValue: (span: Span) => void }) {
  return (
    <fieldset class="segmented" aria-label="Time span">
      {SPANS.map(([span, name]) => (
        <button key={span} type="button" aria-pressed={span === value} onClick={() => onValue(span)}>
          {name}
        </button>
      ))}
    </fieldset>
  );
}

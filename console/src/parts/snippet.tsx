import { CopyButton } from "./copy-button.tsx";

/** Lines to copy. */
export function Snippet({ text, what, wrap }: { text: string; what: string; wrap?: boolean }) {
  return (
    <div class="snippet">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard */}
      <pre tabIndex={0} class={wrap ? "wrap" : undefined}>
        {text}
      </pre>
      <CopyButton text={text} what={what} small>
        Copy
      </CopyButton>
    </div>
  );
}

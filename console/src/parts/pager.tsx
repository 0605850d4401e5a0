import { Button } from "./button.tsx";

interface Props {
  shown: string;
  onPrevious: (() => void) | null;
  onNext: (() => void) | null;
  onFirst?: (() => void) | null;
}

interface CursorProps {
  cursor: string | null | undefined;
  next: string | null | undefined;
  setParams: (changes: { cursor: string | null }) => void;
}

export function Pager({ shown, onPrevious, onNext, onFirst }: Props) {
  if (!onPrevious && !onNext && !onFirst) return <div class="pager small muted">{shown}</div>;
  return (
    <nav class="pager" aria-label="Pages">
      <span class="small muted" aria-live="polite">
        {shown}
      </span>
      <span class="row">
        {onFirst && (
          <Button small onClick={onFirst}>
            First page
          </Button>
        )}
        <Button small icon="left" disabled={!onPrevious} onClick={() => onPrevious?.()}>
          Previous
        </Button>
        <Button small disabled={!onNext} onClick={() => onNext?.()}>
          Next
        </Button>
      </span>
    </nav>
  );
}

/** Pages of a list whose place is the parameter `cursor` of the address. */
export function CursorPager({ cursor, next, setParams }: CursorProps) {
  if (!next && !cursor) return null;
  return (
    <Pager
      shown=""
      onPrevious={null}
      onFirst={cursor ? () => setParams({ cursor: null }) : null}
      onNext={next ? () => setParams({ cursor: next }) : null}
    />
  );
}

import { Button } from "./button.tsx";

interface Props {
  shown: string;
  onPrevious: (() => void) | null;
  onNext: (() => void) | null;
  onFirst?: (() => void) | null;
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

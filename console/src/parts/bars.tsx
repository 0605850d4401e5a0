import { type Pending, pending, runNow, toasts, undo } from "../app/notices.ts";
import { useNow } from "../logic/now.ts";
import { useObservable } from "../logic/observable.ts";
import { Button } from "./button.tsx";

/** What happens in a few seconds unless it is undone. */
function UndoBar({ item }: { item: Pending }) {
  useNow(250);
  const seconds = Math.max(0, Math.ceil((item.dueAt - Date.now()) / 1000));
  return (
    <div class="bar">
      <span class="grow">
        {item.label} <span class="number">in {seconds} s</span>
      </span>
      <Button onClick={() => runNow(item)}>Do it now</Button>
      <Button onClick={() => undo(item)}>Undo</Button>
    </div>
  );
}

/** Toasts and undo bars. The live region is always there, so that screen readers announce what appears in it. */
export function Bars() {
  const messages = useObservable(toasts);
  const items = useObservable(pending);
  return (
    <div class="bars">
      {items.map((item) => (
        <UndoBar key={item.id} item={item} />
      ))}
      <div role="status" aria-live="polite" class="stack-8">
        {items.map((item) => (
          <span key={item.id} class="hidden-label">
            {item.label} in 10 seconds. Undo is at the end of the page.
          </span>
        ))}
        {messages.map((toast) => (
          <div key={toast.id} class="bar">
            {toast.text}
          </div>
        ))}
      </div>
    </div>
  );
}

import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";
import { Form } from "./form.tsx";

interface Props {
  title: string;
  children: ComponentChildren;
  foot?: ComponentChildren;
  wide?: boolean;
  /** Called for Escape. Without it the dialog closes only by its buttons. */
  onClose?: () => void;
  onSubmit?: () => unknown;
}

/** A modal dialog. The browser keeps the focus inside, and returns it to where it was. */
export function Dialog({ title, children, foot, wide, onClose, onSubmit }: Props) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  // Not useEffect, which runs after the next frame: keys pressed in between would go to the page.
  useLayoutEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    ref.current?.showModal();
    return () => before?.isConnected && before.focus();
  }, []);
  const cancel = (event: Event) => {
    event.preventDefault();
    onClose?.();
  };
  return (
    <dialog ref={ref} class={wide ? "wide" : undefined} aria-labelledby={id} onCancel={cancel}>
      <Form onSubmit={onSubmit} noValidate>
        <div class="dialog-head">
          <h2 id={id}>{title}</h2>
        </div>
        <div class="dialog-body stack">{children}</div>
        {foot && <div class="dialog-foot">{foot}</div>}
      </Form>
    </dialog>
  );
}

import type { ComponentChildren } from "preact";
import { useOnce } from "../logic/once.ts";

interface Props {
  children: ComponentChildren;
  class?: string;
  style?: Record<string, string>;
  /** Leaves it to the API, and not to the browser, to say what is wrong with a field. */
  noValidate?: boolean;
  /** A promise keeps the form from being sent again until it settles. */
  onSubmit?: () => unknown;
}

/** A form that cannot be sent twice while its work is under way. */
export function Form({ children, class: classes, style, noValidate, onSubmit }: Props) {
  const sendOnce = useOnce<void>(onSubmit);
  const submit = (event: Event) => {
    event.preventDefault();
    sendOnce();
  };
  return (
    <form class={classes} style={style} onSubmit={submit} noValidate={noValidate}>
      {children}
    </form>
  );
}

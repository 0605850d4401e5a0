import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { useOnce } from "../logic/once.ts";
import { Icon, type IconName } from "./icon.tsx";

interface Props {
  children?: ComponentChildren;
  kind?: "primary" | "danger" | "danger-fill" | "quiet";
  small?: boolean;
  icon?: IconName;
  /** Name of a button that shows only an icon. */
  label?: string;
  type?: "button" | "submit";
  disabled?: boolean;
  busy?: boolean;
  /** A promise keeps the button busy until it settles. */
  onClick?: (event: MouseEvent) => unknown;
  autofocus?: boolean;
}

/** A button that cannot be pressed twice while its work is under way. */
export function Button({
  children,
  kind,
  small,
  icon,
  label,
  type = "button",
  disabled,
  busy,
  onClick,
  autofocus,
}: Props) {
  const [working, setWorking] = useState(false);
  const isBusy = busy || working;
  const work = useOnce((event: MouseEvent) => {
    const result = onClick?.(event);
    if (!(result instanceof Promise)) return result;
    setWorking(true);
    return result.catch(() => {}).then(() => setWorking(false));
  });
  const press = (event: MouseEvent) => (isBusy ? event.preventDefault() : work(event));
  const classes = ["button", kind, small && "small", icon && !children && "icon"].filter(Boolean).join(" ");
  return (
    <button
      type={type}
      class={classes}
      disabled={disabled}
      aria-disabled={isBusy || undefined}
      aria-label={label}
      title={label}
      onClick={press}
      autofocus={autofocus}
    >
      {icon && <Icon name={icon} />}
      {children}
      {isBusy && <span class="hidden-label">Working</span>}
    </button>
  );
}

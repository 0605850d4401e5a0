import { useEffect, useRef, useState } from "preact/hooks";
import { say } from "../app/notices.ts";
import { Button } from "./button.tsx";

interface Props {
  text: string;
  /** What is copied, for the button's name and the spoken confirmation: "key id". */
  what: string;
  children?: string;
  kind?: "primary";
  small?: boolean;
  onCopied?: () => void;
}

/** Copies a text and says so, also to screen readers. */
export function CopyButton({ text, what, children, kind, small, onCopied }: Props) {
  const [copied, setCopied] = useState(false);
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      say(`The browser did not allow copying. Select the ${what} and copy it yourself.`);
      return;
    }
    setCopied(true);
    onCopied?.();
    say(`Copied the ${what}.`);
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => setCopied(false), 2_000);
  };
  return (
    <Button
      kind={kind ?? (children ? undefined : "quiet")}
      small={small}
      icon={copied ? "check" : "copy"}
      label={children ? undefined : `Copy the ${what}`}
      onClick={copy}
    >
      {children}
    </Button>
  );
}

import type { ComponentChildren } from "preact";
import { useLayoutEffect, useState } from "preact/hooks";
import { guardLeaving } from "../app/router.ts";
import { download } from "../logic/download.ts";
import { Button } from "./button.tsx";
import { CopyButton } from "./copy-button.tsx";

interface Props {
  secret: string;
  /** What it is: "key", "credential". */
  what: string;
  fileName: string;
  children?: ComponentChildren;
  onStored: () => void;
}

/** Shows a secret once. It goes only behind "I have stored it", and leaving the page asks first. */
export function SecretOnce({ secret, what, fileName, children, onStored }: Props) {
  const [stored, setStored] = useState(false);
  useLayoutEffect(() => {
    const warn = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener("beforeunload", warn);
    guardLeaving(() => confirm(`The ${what} is shown only here and only once. Leave without storing it?`));
    return () => {
      removeEventListener("beforeunload", warn);
      guardLeaving(null);
    };
  }, [what]);
  const finish = () => {
    guardLeaving(null);
    onStored();
  };
  return (
    <div class="stack">
      <div class="secret-box">
        <code translate={false}>{secret}</code>
        <CopyButton text={secret} what={what} kind="primary">
          Copy
        </CopyButton>
      </div>
      <div class="row">
        <Button icon="download" onClick={() => download(fileName, `${secret}\n`)}>
          Download as a file
        </Button>
      </div>
      {children}
      <label class="check">
        <input type="checkbox" checked={stored} onChange={() => setStored(!stored)} />
        <span>I have stored the {what}. I know that nobody can show it again.</span>
      </label>
      <div>
        <Button kind="primary" disabled={!stored} onClick={finish}>
          I have stored it
        </Button>
      </div>
    </div>
  );
}

import { useLayoutEffect, useRef } from "preact/hooks";
import { Button } from "../parts/button.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { useConsole } from "./context.ts";
import { go, href } from "./router.ts";
import { NAV } from "./screens.ts";

/** Whether a key press belongs to what the person writes in, or to a dialog. */
function isTaken(event: KeyboardEvent): boolean {
  const target = event.target as Element;
  return event.ctrlKey || event.metaKey || event.altKey || Boolean(target.closest("input, textarea, select, dialog"));
}

const LETTERS: Record<string, string> = {
  "/": "o",
  "/keys": "k",
  "/incidents": "i",
  "/leaks": "l",
  "/audit": "a",
  "/members": "m",
  "/events": "e",
  "/settings": "s",
};

/** The keyboard: `/` searches, `?` shows this list, `g` and a letter opens a screen, `n` issues a key. */
export function Shortcuts({ open, setOpen }: { open: boolean; setOpen: (open: boolean) => void }) {
  const { rights } = useConsole();
  const afterG = useRef(0);
  // Not useEffect, which runs after the next frame: a key pressed in between would be lost.
  useLayoutEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (isTaken(event)) return;
      const went = Date.now() - afterG.current < 1_500;
      afterG.current = event.key === "g" ? Date.now() : 0;
      const screen = NAV.find((item) => LETTERS[item.path] === event.key && item.shown(rights));
      if (event.key === "/") {
        event.preventDefault();
        document.getElementById("search")?.focus();
      } else if (event.key === "?") setOpen(true);
      else if (event.key === "n" && !went && rights.issue) go(href("/issue"));
      else if (went && screen) go(href(screen.path));
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, [rights, setOpen]);
  if (!open) return null;
  const rows: [string[], string][] = [
    [["/"], "Search"],
    [["?"], "This list"],
    ...(rights.issue ? ([[["n"], "Issue a key"]] as [string[], string][]) : []),
    ...NAV.filter((item) => item.shown(rights)).map((item): [string[], string] => [
      ["g", LETTERS[item.path] ?? ""],
      item.name,
    ]),
  ];
  return (
    <Dialog
      title="Keyboard shortcuts"
      onClose={() => setOpen(false)}
      foot={
        <Button autofocus onClick={() => setOpen(false)}>
          Close
        </Button>
      }
    >
      <dl class="facts short">
        {rows.map(([keys, what]) => (
          <>
            <dt>
              {keys.map((key, at) => (
                <>
                  {at > 0 && " then "}
                  <kbd>{key}</kbd>
                </>
              ))}
            </dt>
            <dd>{what}</dd>
          </>
        ))}
      </dl>
    </Dialog>
  );
}

import { useEffect, useRef, useState } from "preact/hooks";
import { readScreenful } from "../api/pages.ts";
import type { Key } from "../api/types.ts";
import { idOfWholeKey, isId } from "../logic/key-text.ts";
import { EnvironmentChip, StatusChip } from "../parts/chip.tsx";
import { Icon } from "../parts/icon.tsx";
import { say } from "./notices.ts";
import { go, href, usePlace } from "./router.ts";

const WAIT_MS = 180;
const MOST = 6;
const SLUG = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;

interface Found {
  keys: Key[];
  /** Whether every key was looked at. */
  isComplete: boolean;
}

/** Keys by name, id, integration or owner, each key once. */
async function find(text: string, env: string | null, signal: AbortSignal): Promise<Found> {
  const ask = (query: Record<string, string>) =>
    readScreenful<Key>("/keys", { ...query, environment: env }, MOST, { signal });
  const asked = [ask({ q: text })];
  if (SLUG.test(text)) asked.push(ask({ integration: text }));
  if (text.includes("@")) asked.push(ask({ owner: text }));
  const pages = await Promise.all(asked);
  const found = new Map(pages.flatMap(({ items }) => items).map((key) => [key.id, key]));
  return {
    keys: [...found.values()].slice(0, MOST),
    isComplete: pages.every(({ next_cursor }) => next_cursor === null),
  };
}

/** Finds keys. Of a whole key that someone pastes only the public id stays in the field, and only that is sent. */
export function Search() {
  const { query } = usePlace();
  const env = query.get("env");
  const [text, setText] = useState("");
  const [found, setFound] = useState<Found | null>(null);
  const [at, setAt] = useState(-1);
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);

  useEffect(() => {
    const asked = text.trim();
    if (asked.length < 2) return setFound(null);
    const abort = new AbortController();
    const timer = setTimeout(() => {
      find(asked, env, abort.signal).then(
        (next) => {
          setFound(next);
          setAt(next.keys.length > 0 ? 0 : -1);
        },
        () => {}, // the list itself, opened by Enter, shows the problem
      );
    }, WAIT_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [text, env]);

  const close = () => {
    setOpen(false);
    setText("");
  };
  const openKey = (id: string) => {
    go(href("/key", { id, env: null }));
    close();
  };
  const onInput = (value: string) => {
    const id = idOfWholeKey(value);
    setText(id ?? value);
    setOpen(true);
    if (id) say("That was a whole key. Only its public id is used; the rest was dropped here.");
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const keys = found?.keys ?? [];
    if (event.key === "Escape") close();
    else if (event.key === "ArrowDown") setAt(Math.min(at + 1, keys.length - 1));
    else if (event.key === "ArrowUp") setAt(Math.max(at - 1, 0));
    else if (event.key === "Enter") {
      const asked = text.trim();
      const chosen = keys[at];
      if (isId(asked)) openKey(asked);
      else if (chosen && open) openKey(chosen.id);
      else if (asked) {
        go(href("/keys", { q: asked }));
        close();
      }
    } else return;
    event.preventDefault();
  };
  const shown = open && text.trim().length >= 2;
  return (
    // biome-ignore lint/a11y/useSemanticElements: <search> has no wide support yet
    <div
      class="search"
      role="search"
      ref={box}
      onFocusOut={(event) => !box.current?.contains(event.relatedTarget as Node) && setOpen(false)}
    >
      <Icon name="search" />
      <input
        id="search"
        type="text"
        role="combobox"
        placeholder="Search keys"
        aria-label="Search keys by name, integration, id or owner"
        aria-expanded={shown}
        aria-controls="search-results"
        aria-activedescendant={shown && at >= 0 ? `found-${at}` : undefined}
        aria-autocomplete="list"
        autocomplete="off"
        spellcheck={false}
        value={text}
        onInput={(event) => onInput(event.currentTarget.value)}
        onFocus={() => setOpen(true)}
        onKeyDown={onKeyDown}
      />
      <kbd>/</kbd>
      <div class="popup" role="listbox" id="search-results" aria-label="Keys found" hidden={!shown}>
        {shown &&
          found?.keys.map((key, index) => (
            // biome-ignore lint/a11y/useKeyWithClickEvents: the keyboard is on the field, by aria-activedescendant
            // biome-ignore lint/a11y/useFocusableInteractive: the same
            <div
              key={key.id}
              id={`found-${index}`}
              role="option"
              aria-selected={index === at}
              onPointerDown={(event) => event.preventDefault()}
              onClick={() => openKey(key.id)}
              onPointerMove={() => setAt(index)}
            >
              <span class="strong">{key.name}</span>
              <EnvironmentChip environment={key.environment} />
              {key.status !== "active" && <StatusChip status={key.status} />}
              <span class="small muted mono">{key.id}</span>
            </div>
          ))}
        {shown && found?.keys.length === 0 && (
          <div class="note small">
            {found.isComplete
              ? "No key has this in its name or id."
              : "No key among those looked at has this in its name or id. Press Enter to look through the list."}
          </div>
        )}
        {shown && found === null && <div class="note small">Searching…</div>}
      </div>
    </div>
  );
}

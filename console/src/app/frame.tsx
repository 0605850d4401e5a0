import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { watchCalls } from "../api/client.ts";
import type { Environment } from "../api/types.ts";
import { useNow } from "../logic/now.ts";
import { useObservable } from "../logic/observable.ts";
import { ROLES } from "../logic/words.ts";
import { Button } from "../parts/button.tsx";
import { Countdown } from "../parts/countdown.tsx";
import { Icon, Logo } from "../parts/icon.tsx";
import { Menu } from "../parts/menu.tsx";
import { Time } from "../parts/time.tsx";
import { useConsole } from "./context.ts";
import { sayProblem } from "./notices.ts";
import { href, setParams, usePlace } from "./router.ts";
import { NAV, navItemOf } from "./screens.ts";
import { Search } from "./search.tsx";
import { askSession, signOut } from "./session.ts";
import { Shortcuts } from "./shortcuts.tsx";
import { setTheme, type Theme, theme } from "./theme.ts";
import { useWaiting } from "./waiting.ts";

const WARN_BEFORE_MS = 120_000;

function Sidebar({ open }: { open: boolean }) {
  const { rights, capabilities } = useConsole();
  const { path } = usePlace();
  const waiting = useWaiting();
  const current = navItemOf(path);
  return (
    <aside class={`sidebar ${open ? "open" : ""}`} id="sidebar">
      <a class="brand" href={href("/")}>
        <Logo />
        Keyward
      </a>
      <nav class="nav" aria-label="Screens">
        {NAV.filter((item) => item.shown(rights)).map((item) => (
          <a key={item.path} href={href(item.path)} aria-current={item === current ? "page" : undefined}>
            <Icon name={item.icon} />
            {item.name}
            {waiting[item.path] ? (
              <span class="waiting">
                {waiting[item.path]}
                <span class="hidden-label"> waiting</span>
              </span>
            ) : null}
          </a>
        ))}
      </nav>
      <div class="sidebar-foot">
        <div class="mono">{location.host}</div>
        Keyward {capabilities.version}
      </div>
    </aside>
  );
}

const ENVIRONMENTS: { value: Environment | null; name: string }[] = [
  { value: null, name: "All" },
  { value: "live", name: "Live" },
  { value: "test", name: "Test" },
];

function EnvironmentSwitch() {
  const { member } = useConsole();
  const current = usePlace().query.get("env");
  const [only] = member.environments ?? [];
  if (member.environments?.length === 1 && only) {
    return (
      <span class="chip quiet" title="Your membership is limited to this environment">
        {only === "live" ? "Live only" : "Test only"}
      </span>
    );
  }
  return (
    <fieldset class="segmented" aria-label="Environment">
      {ENVIRONMENTS.map(({ value, name }) => (
        <button
          key={name}
          type="button"
          aria-pressed={current === value}
          onClick={() => setParams({ env: value, cursor: null, page: null })}
        >
          {name}
        </button>
      ))}
    </fieldset>
  );
}

const THEMES: { value: Theme; name: string }[] = [
  { value: "system", name: "Colours as the system" },
  { value: "light", name: "Light colours" },
  { value: "dark", name: "Dark colours" },
];

function MemberMenu({ onShortcuts }: { onShortcuts: () => void }) {
  const { member } = useConsole();
  const colours = useObservable(theme);
  const initials = member.name
    .split(/\s+/)
    .map((word) => [...word][0] ?? "")
    .slice(0, 2)
    .join("")
    .toUpperCase();
  return (
    <Menu
      summaryClass="button quiet"
      summary={
        <>
          <span class="avatar" aria-hidden="true">
            {initials}
          </span>
          <span class="hidden-label">Signed in as </span>
          <span class="member-name">{member.name.length > 24 ? `${member.name.slice(0, 23)}…` : member.name}</span>
          <Icon name="down" />
        </>
      }
    >
      <div class="head stack-4">
        <strong class="strong">{member.name}</strong>
        <span class="small muted">{member.email}</span>
        <span class="small muted">
          {ROLES[member.role]?.name}
          {member.environments ? `, ${member.environments.join(" and ")} only` : ""}
        </span>
      </div>
      {THEMES.map(({ value, name }) => (
        <button key={value} type="button" aria-pressed={colours === value} onClick={() => setTheme(value)}>
          <span class="icon-svg">{colours === value && <Icon name="check" />}</span>
          {name}
        </button>
      ))}
      <button type="button" onClick={onShortcuts}>
        <span class="icon-svg" />
        Keyboard shortcuts
      </button>
      <button type="button" onClick={() => signOut().catch(sayProblem)}>
        <span class="icon-svg" />
        Sign out
      </button>
    </Menu>
  );
}

/** When calls last got an answer, while they get none. */
function useSilence(): number | null {
  const [silentSince, setSilentSince] = useState<number | null>(null);
  const lastAnswer = useRef(Date.now());
  useEffect(() => {
    const stop = watchCalls((outcome) => {
      if (outcome === "answered") lastAnswer.current = Date.now();
      setSilentSince(outcome === "answered" ? null : lastAnswer.current);
    });
    return () => void stop();
  }, []);
  return silentSince;
}

function Banners({ expiresAt }: { expiresAt: number }) {
  const now = useNow(1_000);
  const silentSince = useSilence();
  const left = expiresAt - now;
  return (
    <section aria-label="Messages">
      {silentSince !== null && (
        <div class="banner" role="alert">
          <Icon name="warning" />
          <span class="grow">
            The authority cannot be reached. What is shown was answered <Time at={silentSince} />.
          </span>
          <Button small onClick={() => askSession().catch(() => {})}>
            Try again
          </Button>
        </div>
      )}
      {left < WARN_BEFORE_MS && left > 0 && (
        <div class="banner" role="alert">
          <Icon name="clock" />
          <span class="grow">
            Your session ends in <Countdown until={expiresAt} />.
          </span>
          <Button small onClick={() => askSession().catch(sayProblem)}>
            Stay signed in
          </Button>
        </div>
      )}
      {/^(localhost|127\.0\.0\.1|\[::1\])$/.test(location.hostname) && (
        <div class="banner info">
          <Icon name="info" />
          <span>A local deployment, for trying out. Its keys work on this machine only.</span>
        </div>
      )}
    </section>
  );
}

/** Sidebar, top bar and banners around a screen. */
export function Frame({ expiresAt, children }: { expiresAt: number; children: ComponentChildren }) {
  const [open, setOpen] = useState(false);
  const [shortcuts, setShortcuts] = useState(false);
  const { path } = usePlace();
  useEffect(() => setOpen(false), [path]);
  useEffect(() => {
    if (!open) return;
    const close = (event: Event) => {
      if (
        event instanceof KeyboardEvent
          ? event.key === "Escape"
          : !(event.target as Element).closest("#sidebar, .menu-button")
      )
        setOpen(false);
    };
    document.addEventListener("keydown", close);
    document.addEventListener("pointerdown", close);
    return () => {
      document.removeEventListener("keydown", close);
      document.removeEventListener("pointerdown", close);
    };
  }, [open]);
  return (
    <div class="frame">
      <a class="button skip" href="#main">
        Skip to content
      </a>
      <Sidebar open={open} />
      <div class="main-column">
        <header class="topbar">
          <button
            type="button"
            class="button quiet icon menu-button"
            aria-label="Screens"
            aria-expanded={open}
            aria-controls="sidebar"
            onClick={() => setOpen(!open)}
          >
            <Icon name="menu" />
          </button>
          <EnvironmentSwitch />
          <Search />
          <div class="end">
            <MemberMenu onShortcuts={() => setShortcuts(true)} />
          </div>
        </header>
        <Banners expiresAt={expiresAt} />
        <main class="content" id="main">
          {children}
        </main>
      </div>
      <Shortcuts open={shortcuts} setOpen={setShortcuts} />
    </div>
  );
}

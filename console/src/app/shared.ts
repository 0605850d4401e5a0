// Answers that several screens use, read once for each sign-in: the route table, the settings, the names of members.

import { useEffect, useState } from "preact/hooks";
import { call } from "../api/client.ts";
import { readAll } from "../api/pages.ts";
import { asProblem, type Problem } from "../api/problem.ts";
import type { Member, Route, Settings } from "../api/types.ts";
import { type Console, useConsole } from "./context.ts";

class Once<T> {
  #promise: Promise<T> | null = null;
  #of: string | null = null;

  constructor(private readonly read: (console: Console) => Promise<T>) {}

  /** Reads again for another member, and after a failure. */
  get(console: Console): Promise<T> {
    if (this.#of !== console.member.id) this.forget();
    this.#of = console.member.id;
    this.#promise ??= this.read(console).catch((error) => {
      this.forget();
      throw error;
    });
    return this.#promise;
  }

  forget() {
    this.#promise = null;
  }
}

const settings = new Once<Settings | null>(async ({ rights }) =>
  rights.settings ? call<Settings>("/settings") : null,
);

const routes = new Once<Route[] | null>(async (console) => {
  if (console.capabilities.has("GET", "/routes")) return (await call<{ items: Route[] }>("/routes")).items;
  return (await settings.get(console))?.routes ?? null;
});

const MOST_MEMBERS = 1_000;
const people = new Once<Map<string, Member>>(async ({ rights }) => {
  if (!rights.members) return new Map();
  const { items } = await readAll<Member>("/members", {}, MOST_MEMBERS);
  return new Map(items.map((member) => [member.id, member]));
});

interface Read<T> {
  /** Null while it is loading, and if this member may not read it. */
  data: T | null;
  problem: Problem | null;
  loading: boolean;
}

function useOnce<T>(once: Once<T>): Read<T> {
  const console = useConsole();
  const [state, setState] = useState<Read<T>>({ data: null, problem: null, loading: true });
  useEffect(() => {
    let current = true;
    once.get(console).then(
      (data) => current && setState({ data, problem: null, loading: false }),
      (error) => current && setState({ data: null, problem: asProblem(error), loading: false }),
    );
    return () => {
      current = false;
    };
  }, [console, once]);
  return state;
}

export const useRoutes = () => useOnce(routes);
export const useSettings = () => useOnce(settings);

/** Returns a function that names a member: "you", their name if this member may read it, or the id. */
export function useNames(): (id: string) => string {
  const { member } = useConsole();
  const { data } = useOnce(people);
  return (id) => {
    if (id === member.id) return "you";
    if (id === "bootstrap") return "the bootstrap token";
    if (id === "holder") return "the holder of the key";
    if (id === "claimant") return "whoever has the claim link";
    if (id === "keyward") return "Keyward";
    return data?.get(id)?.name ?? id;
  };
}

/** Longest life of a key in days: the setting, if this member may read it, or the default. */
export function useMostDays(): number {
  const { data } = useSettings();
  const value = Number(data?.settings.find(({ name }) => name === "MAX_KEY_DAYS")?.value ?? 365);
  return Number.isFinite(value) ? value : 365;
}

export const forgetMembers = () => people.forget();

// Addresses of screens. Filters, sort, tab and environment are in the query, so that an address can be sent to someone.

import { Observable, useObservable } from "../logic/observable.ts";

export interface Place {
  path: string;
  query: URLSearchParams;
}

const read = (): Place => ({ path: location.pathname, query: new URLSearchParams(location.search) });

const place = new Observable<Place>(read());
export const usePlace = () => useObservable(place);
export const currentPlace = () => place.value;

/** Asked before a screen is left; returns false to stay. */
let mayLeave: (() => boolean) | null = null;
export function guardLeaving(guard: (() => boolean) | null) {
  mayLeave = guard;
}

type Params = Record<string, string | null | undefined>;

/** The address of a screen. The environment switch stays as it is unless `params` sets `env`. */
export function href(path: string, params: Params = {}): string {
  const query = new URLSearchParams();
  const env = "env" in params ? params.env : place.value.query.get("env");
  for (const [name, value] of Object.entries({ ...params, env })) {
    if (value) query.set(name, value);
  }
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

export function go(address: string, { replace = false } = {}) {
  if (mayLeave && !mayLeave()) return;
  history[replace ? "replaceState" : "pushState"](null, "", address);
  place.set(read());
}

/** Changes parameters of this address. `null` removes one. */
export function setParams(changes: Params, { replace = false } = {}) {
  const params: Params = Object.fromEntries(place.value.query);
  go(href(place.value.path, { ...params, ...changes }), { replace });
}

/** Takes over clicks on links to screens of the console. Other links, new tabs and downloads stay the browser's. */
export function followLinks() {
  addEventListener("popstate", () => place.set(read()));
  document.addEventListener("click", (event) => {
    if (
      event.defaultPrevented ||
      event.button !== 0 ||
      event.metaKey ||
      event.ctrlKey ||
      event.shiftKey ||
      event.altKey
    )
      return;
    const link = (event.target as Element | null)?.closest?.("a");
    if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
    if (link.pathname.startsWith("/_keyward/") || link.getAttribute("href")?.startsWith("#")) return;
    event.preventDefault();
    go(link.pathname + link.search);
  });
}

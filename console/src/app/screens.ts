// The screens: address, name in the navigation, and for whom.

import type { IconName } from "../parts/icon.tsx";
import type { Rights } from "./session.ts";

export interface NavItem {
  path: string;
  name: string;
  icon: IconName;
  shown: (rights: Rights) => boolean;
  /** Other addresses that belong to it. */
  also?: string[];
}

export const NAV: NavItem[] = [
  { path: "/", name: "Overview", icon: "overview", shown: (rights) => rights.readKeys },
  { path: "/keys", name: "Keys", icon: "keys", shown: (rights) => rights.readKeys, also: ["/key", "/issue"] },
  {
    path: "/incidents",
    name: "Incidents",
    icon: "incidents",
    shown: (rights) => rights.incidents,
    also: ["/incident"],
  },
  { path: "/leaks", name: "Leaks", icon: "leaks", shown: (rights) => rights.leaks },
  { path: "/audit", name: "Audit", icon: "audit", shown: (rights) => rights.audit },
  { path: "/members", name: "Members", icon: "members", shown: (rights) => rights.members },
  { path: "/events", name: "Events", icon: "events", shown: (rights) => rights.events },
  { path: "/settings", name: "Settings", icon: "settings", shown: (rights) => rights.settings },
];

/** Addresses that are not for everybody who sees the screen that they belong to. */
const RESTRICTED: Record<string, (rights: Rights) => boolean> = { "/issue": (rights) => rights.issue };

export const navItemOf = (path: string) => NAV.find((item) => item.path === path || item.also?.includes(path));

/** Whether the screen at an address is for a member with these rights. */
export const isOffered = (path: string, rights: Rights) =>
  (navItemOf(path)?.shown(rights) ?? false) && (RESTRICTED[path]?.(rights) ?? true);

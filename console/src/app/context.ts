// What every screen of a signed-in member knows.

import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Capabilities } from "../api/capabilities.ts";
import type { Member } from "../api/types.ts";
import type { Rights } from "./session.ts";

export interface Console {
  member: Member;
  capabilities: Capabilities;
  rights: Rights;
}

export const ConsoleContext = createContext<Console | null>(null);

export function useConsole(): Console {
  const value = useContext(ConsoleContext);
  if (!value) throw new Error("This part is for signed-in members.");
  return value;
}

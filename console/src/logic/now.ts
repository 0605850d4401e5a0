// The current time, for components that show it.

import { useEffect, useState } from "preact/hooks";
import { serverNow } from "../api/client.ts";

/** The server's time, again every `everyMs`. */
export function useNow(everyMs: number): number {
  const [now, setNow] = useState(serverNow);
  useEffect(() => {
    const timer = setInterval(() => setNow(serverNow()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}

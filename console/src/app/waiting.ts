// Counts beside the names of screens on which something waits for a person.

import { useEffect, useState } from "preact/hooks";
import { call } from "../api/client.ts";
import type { IncidentItem, Page } from "../api/types.ts";
import { useConsole } from "./context.ts";
import { usePlace } from "./router.ts";

/** Counts by address. They are read again when a screen opens. */
export function useWaiting(): Record<string, number> {
  const { rights } = useConsole();
  const { path } = usePlace();
  const [counts, setCounts] = useState<Record<string, number>>({});
  useEffect(() => {
    if (!rights.incidents) return;
    let current = true;
    call<Page<IncidentItem>>("/incidents", { query: { limit: 50 }, background: true })
      .then(
        ({ items }) => current && setCounts({ "/incidents": items.filter(({ status }) => status === "open").length }),
      )
      .catch(() => {}); // a count is not worth a message: the screen itself shows the problem
    return () => {
      current = false;
    };
  }, [path, rights]);
  return counts;
}

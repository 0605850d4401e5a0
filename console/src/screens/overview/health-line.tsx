import { call } from "../../api/client.ts";
import { readScreenful } from "../../api/pages.ts";
import type { Delivery } from "../../api/types.ts";
import { useConsole } from "../../app/context.ts";
import { href } from "../../app/router.ts";
import { useResource } from "../../logic/resource.ts";
import { Chip } from "../../parts/chip.tsx";
import { Time } from "../../parts/time.tsx";

/** Above this number the exact one would mean reading the whole list. */
const MOST = 100;

/** How many deliveries of events wait for an attempt. */
function Pending() {
  const pending = useResource(
    "pending deliveries",
    () => readScreenful<Delivery>("/deliveries", { status: "pending" }, MOST),
    true,
  );
  if (!pending.data) return null;
  const { items, next_cursor } = pending.data;
  if (items.length === 0 && !next_cursor) return <span>No delivery of an event is pending.</span>;
  const many = next_cursor ? `${items.length} or more` : String(items.length);
  return (
    <span>
      <a href={href("/events", { tab: "deliveries", status: "pending" })}>Pending deliveries of events: {many}</a>.
    </span>
  );
}

/** Whether the deployment serves, its version, how old this is, and the events that wait. */
export function HealthLine() {
  const { rights } = useConsole();
  const health = useResource<{ version: string }>("health", () => call("/_keyward/health"));
  if (!health.at && !health.problem) return null;
  return (
    <p class="row small muted">
      {health.problem ? (
        <Chip tone="danger" shape="✕">
          {health.problem.title}
        </Chip>
      ) : (
        <Chip tone="ok" shape="●">
          Serving
        </Chip>
      )}
      {health.data && (
        <span>
          Keyward {health.data.version}. The authority answered <Time at={health.at} />.
        </span>
      )}
      {rights.events && <Pending />}
    </p>
  );
}

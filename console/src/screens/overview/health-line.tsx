import { call } from "../../api/client.ts";
import { useResource } from "../../logic/resource.ts";
import { Chip } from "../../parts/chip.tsx";
import { Time } from "../../parts/time.tsx";

/** Whether the deployment serves, its version, and how old this is. */
export function HealthLine() {
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
    </p>
  );
}

import { useMemo } from "preact/hooks";
import type { Key } from "../../api/types.ts";
import { useConsole } from "../../app/context.ts";
import { useResource } from "../../logic/resource.ts";
import { readUsage } from "../../logic/usage.ts";
import { Chart, type Series } from "../../parts/chart.tsx";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { Skeleton } from "../../parts/skeleton.tsx";

/** Old and new key on one chart: where the old line ends, the integration has switched. */
export function CutOver({ old, next }: { old: Key; next: Key }) {
  const { rights } = useConsole();
  const both = useResource(rights.usage ? `${old.id} ${next.id}` : null, () =>
    Promise.all([readUsage(`/keys/${old.id}/usage`, "7d"), readUsage(`/keys/${next.id}/usage`, "7d")]),
  );
  const series = useMemo<Series[]>(
    () =>
      both.data
        ? [
            { name: "Old key", colour: "warning", values: both.data[0].allowed, dashed: true },
            { name: "New key", colour: "accent", values: both.data[1].allowed },
          ]
        : [],
    [both.data],
  );
  if (!rights.usage) return null;
  if (both.problem) return <ProblemBox problem={both.problem} retry={both.reload} />;
  return (
    <section class="stack-8">
      <h2>Allowed requests of both keys, 7 days</h2>
      {both.data ? (
        <Chart label="Allowed requests of the old and the new key" times={both.data[0].times} series={series} />
      ) : (
        <Skeleton rows={5} />
      )}
    </section>
  );
}

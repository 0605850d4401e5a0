import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Problem } from "../api/problem.ts";
import { ProblemBox } from "../parts/problem-box.tsx";
import { Skeleton } from "../parts/skeleton.tsx";

/** After a deployment the scripts of the former version are gone. */
const MISSING = new Problem({
  status: 0,
  code: "script_missing",
  title: "This part of the console did not load",
  detail: "Your connection broke, or a new version was deployed. Load the page again.",
});

/** A component whose script is loaded when it is first shown. */
export function lazy(load: () => Promise<ComponentType>): ComponentType {
  let loaded: ComponentType | null = null;
  return function Lazy() {
    const [Loaded, setLoaded] = useState<ComponentType | null>(() => loaded);
    const [failed, setFailed] = useState(false);
    useEffect(() => {
      if (Loaded) return;
      load().then(
        (component) => {
          loaded = component;
          setLoaded(() => component);
        },
        () => setFailed(true),
      );
    }, [Loaded]);
    if (failed) return <ProblemBox problem={MISSING} retry={() => location.reload()} />;
    return Loaded ? <Loaded /> : <Skeleton rows={6} />;
  };
}

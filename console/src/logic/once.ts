import { useRef } from "preact/hooks";

/** Returns `work` with calls left out that come while an earlier one is under way. A state would be too late: a double click comes before the page is drawn anew. */
export function useOnce<A>(work: ((argument: A) => unknown) | undefined): (argument: A) => unknown {
  const underWay = useRef(false);
  return (argument) => {
    if (underWay.current) return undefined;
    const result = work?.(argument);
    if (!(result instanceof Promise)) return result;
    underWay.current = true;
    const settle = () => {
      underWay.current = false;
    };
    return result.then(settle, settle);
  };
}

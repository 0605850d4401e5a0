// Loading one answer of the API into a component.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { asProblem, type Problem } from "../api/problem.ts";

export interface Resource<T> {
  data: T | null;
  problem: Problem | null;
  loading: boolean;
  /** When `data` was answered, by this machine's clock. */
  at: number | null;
  reload: () => Promise<void>;
  replace: (data: T) => void;
}

interface State<T> {
  data: T | null;
  problem: Problem | null;
  loading: boolean;
  at: number | null;
}

/**
 * Loads what `read` returns, again whenever `key` changes. The data of the former key stays until the new answer arrives if
 * `keep` is set, so that nothing jumps. A null key loads nothing.
 */
export function useResource<T>(key: string | null, read: () => Promise<T>, keep = false): Resource<T> {
  const [state, setState] = useState<State<T>>({ data: null, problem: null, loading: key !== null, at: null });
  const latest = useRef({ key, read });
  latest.current = { key, read };

  const load = useCallback(async (): Promise<void> => {
    const asked = latest.current.key;
    if (asked === null) return;
    setState((before) => ({ ...before, loading: true }));
    try {
      const data = await latest.current.read();
      if (latest.current.key === asked) setState({ data, problem: null, loading: false, at: Date.now() });
    } catch (error) {
      if (latest.current.key !== asked) return;
      setState((before) => ({ ...before, problem: asProblem(error), loading: false }));
    }
  }, []);

  useEffect(() => {
    if (!keep) setState({ data: null, problem: null, loading: key !== null, at: null });
    load();
  }, [key, keep, load]);

  const replace = useCallback((data: T) => setState({ data, problem: null, loading: false, at: Date.now() }), []);
  return { ...state, reload: load, replace };
}

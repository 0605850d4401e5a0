// A value outside the component tree that components can follow: router, notices, session.

import { useLayoutEffect, useState } from "preact/hooks";

export class Observable<T> {
  #value: T;
  readonly #listeners = new Set<() => void>();

  constructor(value: T) {
    this.#value = value;
  }

  get value(): T {
    return this.#value;
  }

  set(value: T) {
    this.#value = value;
    for (const listener of this.#listeners) listener();
  }

  watch(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

export function useObservable<T>(observable: Observable<T>): T {
  const [, setVersion] = useState(0);
  // Not useEffect, which runs after the next frame: a value set in between would never be shown.
  useLayoutEffect(() => observable.watch(() => setVersion((version) => version + 1)), [observable]);
  return observable.value;
}

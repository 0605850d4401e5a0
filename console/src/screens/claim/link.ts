// The link of a claim: its id and secret are in the fragment, which browsers send to nobody.

export interface Link {
  id: string;
  secret: string;
  /** Makes a repeated request the same request: a reload within ten minutes shows the same key. */
  nonce: string;
}

const STORED = "keyward-claim";

/** `<id>.<secret>` of the fragment. */
function parse(fragment: string): Omit<Link, "nonce"> | null {
  const [, id, secret] = /^#?([0-9A-Za-z_]{1,64})\.([!-~]{16,128})$/.exec(fragment) ?? [];
  return id && secret ? { id, secret } : null;
}

function stored(): Link | null {
  try {
    return JSON.parse(sessionStorage.getItem(STORED) ?? "null") as Link | null;
  } catch {
    return null;
  }
}

/** Takes the link out of the address into this tab's own storage, so that neither history nor a shared screen keeps it. */
export function takeLink(): Link | null {
  const found = parse(location.hash);
  const before = stored();
  if (!found) return before;
  const link =
    before?.id === found.id && before.secret === found.secret ? before : { ...found, nonce: crypto.randomUUID() };
  try {
    sessionStorage.setItem(STORED, JSON.stringify(link));
    history.replaceState(null, "", location.pathname);
  } catch {
    // Without storage the address keeps the link, or a reload would lose it.
  }
  return link;
}

export function forgetLink() {
  try {
    sessionStorage.removeItem(STORED);
  } catch {
    // Nothing is stored then.
  }
}

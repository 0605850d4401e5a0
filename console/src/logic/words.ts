// Lists, counts and names in sentences.

/** `a`, `a and b`, `a, b and c`. */
export function list(items: string[], last = "and"): string {
  if (items.length < 2) return items[0] ?? "";
  return `${items.slice(0, -1).join(", ")} ${last} ${items[items.length - 1]}`;
}

export const count = (n: number, one: string, many = `${one}s`) =>
  `${n.toLocaleString("en-GB")} ${n === 1 ? one : many}`;

export const number = (n: number) => n.toLocaleString("en-GB");

export const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

/** Lower-cases a first letter unless the word is an acronym or a name with capitals inside. */
export function uncapital(text: string): string {
  const word = text.split(/\s/, 1)[0] ?? "";
  return /^[A-Z][a-z-]*$/.test(word) ? text.charAt(0).toLowerCase() + text.slice(1) : text;
}

export const ROLES: Record<string, { name: string; may: string }> = {
  owner: { name: "Owner", may: "Manages members, and may do everything else." },
  manager: { name: "Manager", may: "Issues, changes, rotates and revokes keys." },
  responder: { name: "Responder", may: "Reads keys and the audit log, and revokes keys." },
  auditor: { name: "Auditor", may: "Reads keys and the audit log." },
  verifier: { name: "Verifier", may: "A machine that asks about keys presented to it. Nothing else." },
};

/** By audit action. docs/concepts/audit.md lists all. */
const ACTIONS: Record<string, string> = {
  bootstrap: "Created the first owner",
  "key.issue": "Issued the key",
  "key.update": "Changed the key",
  "key.rotate": "Rotated the key",
  "key.finish_rotation": "Ended the overlap",
  "key.extend_rotation": "Extended the overlap",
  "key.revoke": "Revoked the key",
  "key.shown_again": "Showed a credential again to a retry",
  "key.claim": "Claimed the key",
  "key.expose": "The key was exposed",
  "key.quarantine": "Quarantined the key",
  "key.release": "Released the key from quarantine",
  "key.dismiss_exposure": "Dismissed an exposure",
  "key.idle": "The key is idle",
  "key.end_near": "The key ends soon",
  "key.end": "The key ended",
  "claim.expire": "The claim ended unused",
  "claim.withdraw": "Withdrew the claim",
  "incident.open": "Opened an incident",
  "incident.review": "Reviewed an incident",
  "incident.close": "Closed an incident",
  "session.start": "Signed in to the console",
  "session.end": "Signed out of the console",
  "member.create": "Added the member",
  "member.expose": "The member's credential was exposed",
  "member.update": "Changed the member",
  "member.rotate": "Replaced the member's credential",
  "member.revoke": "Removed the member",
  "member.end_handover": "Ended the replaced credential",
  "leak.report": "A leak was reported",
  "endpoint.create": "Added the endpoint",
  "endpoint.update": "Changed the endpoint",
  "endpoint.rotate_secret": "Replaced the endpoint's secret",
  "endpoint.delete": "Deleted the endpoint",
  "endpoint.stop": "Stopped sending to the endpoint",
};

/** An audit action in words. An action that this console does not know is shown as it is. */
export const actionWords = (action: string) => ACTIONS[action] ?? action;

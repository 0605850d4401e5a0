// Members, created by the owner of a gate.

export const MEMBERS = "/_keyward/v1/members";
export const KEYS = "/_keyward/v1/keys";

let made = 0;

/** Returns the body for a new member, with default values for missing fields. */
export function memberDraft(fields = {}) {
  made += 1;
  return {
    name: `Member ${made}`,
    email: `member-${made}@acme.example`,
    role: "manager",
    environments: null,
    ...fields,
  };
}

/** Creates a member as the owner and returns `{id, key, email}`. Throws if it is refused. */
export async function newMember(gate, fields) {
  const answer = await gate.call(MEMBERS, { method: "POST", key: gate.owner, json: memberDraft(fields) });
  if (answer.status !== 201) throw new Error(`Member not created: ${answer.status} ${answer.text}`);
  return { id: answer.json.member.id, key: answer.json.api_key, email: answer.json.member.email };
}

/** Returns the last entry of the audit log. */
export async function lastEntry(gate) {
  const answer = await gate.call("/_keyward/v1/audit?limit=200", { key: gate.owner });
  if (answer.json.next_cursor !== null) throw new Error("The audit log has more than one page");
  return answer.json.items.at(-1);
}

// Members, as the owner of a gate makes them.

export const MEMBERS = "/_keyward/v1/members";
export const KEYS = "/_keyward/v1/keys";

let made = 0;

/** What a new member is made from, with sensible values where none are given. */
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

/** Makes a member as the owner and gives `{id, key, email}`; a refusal is an error of the test. */
export async function newMember(gate, fields) {
  const answer = await gate.call(MEMBERS, { method: "POST", key: gate.owner, json: memberDraft(fields) });
  if (answer.status !== 201) throw new Error(`no member: ${answer.status} ${answer.text}`);
  return { id: answer.json.member.id, key: answer.json.api_key, email: answer.json.member.email };
}

/** The last entry of the log, as the owner reads it. */
export async function lastEntry(gate) {
  const answer = await gate.call("/_keyward/v1/audit?limit=200", { key: gate.owner });
  if (answer.json.next_cursor !== null) throw new Error("the log has more than one page");
  return answer.json.items.at(-1);
}

// Posts Keyward's events to a chat's incoming webhook: Slack, Mattermost, or Discord with `/slack` at the end of its address.
//
//   KEYWARD_JWKS=https://keys.example.com/_keyward/jwks.json CHAT_WEBHOOK=https://hooks.slack.com/services/… node relay.mjs

import { pathToFileURL } from "node:url";
import { receive } from "../node/receiver.mjs";

/** Characters with a meaning in a chat's markup are escaped, because names and reasons are what a member wrote. */
const plain = (text) =>
  String(text)
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll(/[*_~`@]/g, (letter) => `${letter}\u200b`);

/** Returns the line about an event. */
export function lineAbout({ type, data }) {
  const subject = data.key_id
    ? `${data.name} (${data.key_id}, ${data.environment})`
    : (data.name ?? data.endpoint ?? "");
  const more = [
    data.owner && `owner ${data.owner}`,
    data.days && `ends in ${data.days} days`,
    data.reason && `reason: ${data.reason}`,
    data.guaranteed_by && `off everywhere by ${data.guaranteed_by}`,
  ].filter(Boolean);
  return plain([`${type}: ${subject}`, ...more].join(" · "));
}

/** Posts a line. Throws if the chat refuses it, so that Keyward sends the event again. */
export async function post(webhook, text) {
  const answer = await fetch(webhook, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ text }),
    signal: AbortSignal.timeout(5_000),
  });
  if (!answer.ok) throw new Error(`The chat answered ${answer.status}.`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const server = await receive({
    jwks: process.env.KEYWARD_JWKS,
    port: Number(process.env.PORT ?? 9000),
    handle: (event) => post(process.env.CHAT_WEBHOOK, lineAbout(event)),
  });
  console.log(`Listening on ${server.address().port}`);
}

// The address of the console that `npm start` prints. While there is no owner, its fragment has the bootstrap token, with which the page makes
// the first one. A fragment is sent to no server, and the page removes it from the address at once.

import { existsSync, readdirSync } from "node:fs";
import { ASSETS_DIR } from "./paths.mjs";

/** Whether the build has a console. */
export const hasConsole = (folder = ASSETS_DIR) => existsSync(folder) && readdirSync(folder).length > 0;

/** Returns the address. */
export async function consoleAddress(control, token) {
  return (await lacksOwner(control, token)) ? `${control}/#bootstrap=${encodeURIComponent(token)}` : `${control}/`;
}

/** Whether the token would make an owner. A body without fields is refused after the token and the owners were checked, and makes none. */
async function lacksOwner(control, token) {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const answer = await fetch(`${control}/_keyward/v1/bootstrap`, { method: "POST", headers, body: "{}" });
  await answer.arrayBuffer();
  return answer.status === 400;
}

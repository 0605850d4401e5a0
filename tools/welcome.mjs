// Text that `npm start` prints when the gate is up: the first five minutes, as lines to paste.

/**
 * Returns the text. `gate` and `control` are URLs like http://localhost:8787, `devVars` is the full path of .dev.vars, and `demo` the URL of the
 * demo origin, or null. `page` is the address of the console, with the bootstrap token in its fragment if there is no owner yet; null without a
 * console.
 * @param {{ gate: string, control: string, devVars: string, demo: string | null, page?: string | null }} options
 */
export function welcome({ gate, control, devVars, demo, page = null }) {
  const api = `${control}/_keyward/v1`;
  const json = "-H 'Content-Type: application/json'";
  const token = `$(sed -n 's/^BOOTSTRAP_TOKEN=//p' ${quoted(devVars)})`;
  const keep = (name) =>
    `; printf '%s\\n' "$ANSWER"; ${name}=$(printf '%s\\n' "$ANSWER" | sed -n 's/.*"api_key": *"\\([^"]*\\)".*/\\1/p')`;
  const key = JSON.stringify({
    name: "CRM sync",
    integration: "crm-sync",
    environment: "live",
    purpose: "Nightly contact sync to the CRM",
    owner: "ops@acme.example",
    scopes: ["contacts:read"],
  });
  return `
Keyward is running at ${gate}: the gate, where callers of your API send their requests
${control === gate ? "The control plane is there too." : `The control plane, where your team manages keys, is at ${control}`}
${demo ? `The demo origin behind it, which echoes what it receives, is at ${demo}` : "Its origin is the one that .dev.vars names."}

${page ? `${consoleLine(page)}\nOr paste these into a second terminal, in this order.` : "Paste these into a second terminal, in this order."}

1. Make the first owner. The owner's credential is shown once, and kept in $OWNER.

ANSWER=$(curl -sS ${api}/bootstrap -H "Authorization: Bearer ${token}" ${json} -d '{"name":"Olivia Owner","email":"olivia@acme.example"}')${keep("OWNER")}

   409 already_bootstrapped: there is an owner already. Set OWNER to the credential that was shown then:
   OWNER=wafl_admin_…    Lost it? Stop Keyward, delete the folder .keyward, and start again; this deletes its keys too.

2. Issue a key. It too is shown once, and kept in $KEY.

ANSWER=$(curl -sS ${api}/keys -H "Authorization: Bearer $OWNER" ${json} -d '${key}')${keep("KEY")}

3. Use it: the request passes the gate, and the origin sees who called but not the key.

curl -sS ${gate}/v1/contacts -H "Authorization: Bearer $KEY"

4. Revoke it. The key id is the key without its last part.

curl -sS ${api}/keys/"\${KEY%_*}"/revoke -H "Authorization: Bearer $OWNER" ${json} -d '{"reason":"Trying it out"}'

5. Use it again: the revocation holds everywhere within 5 seconds, and the answer is 401 revoked_key.

sleep 5; curl -sS -i ${gate}/v1/contacts -H "Authorization: Bearer $KEY"

Ctrl-C stops everything. Keys, members and the audit log stay for the next start.
`;
}

function consoleLine(page) {
  const isFirstRun = page.includes("#");
  return isFirstRun
    ? `Open the console and make the first owner. Whoever has this address can do that, once:\n\n  ${page}\n`
    : `Open the console and sign in:\n\n  ${page}\n`;
}

/** Returns the text that `npm run demo` prints. `signIns` are credentials by role. */
export function demoWelcome({ gate, control, signIns, hasConsole }) {
  const lines = Object.entries(signIns).map(([role, credential]) => `  ${role.padEnd(10)} ${credential}`);
  return `
The demo is running: the gate at ${gate}, the control plane at ${control}

${hasConsole ? `Open ${control}/ and sign in with one of these credentials:` : "This build has no console. The API takes these credentials:"}

${lines.join("\n")}

The data is in .keyward/demo, and begins anew at each start. The use before today is invented. Ctrl-C stops everything.
`;
}

/** Quotes a path for a shell, if it needs quotes. */
function quoted(path) {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}

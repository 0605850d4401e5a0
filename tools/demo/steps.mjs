// The steps that fill the demo, in order. Each has a name, what it does, and perhaps an operation that it needs: a deployment without it
// leaves the step out. To show a new feature, add a step.

import { setTimeout as sleep } from "node:timers/promises";

/**
 * @typedef {{ name: string, needs?: string, run: (to: import("./deployment.mjs").Deployment) => Promise<void> }} Step
 */

const CRM = { purpose: "Nightly contact sync to the CRM", owner: "sales-ops@acme.example" };

const CONTACTS = "GET /v1/contacts";
const CONTACT = "GET /v1/contacts/*";
const EVENTS = "GET /v1/events";
const CONVERSATIONS = "GET /v1/conversations";

/** What each key was used for in the last two weeks. Each has a request in the step before. */
const PASTS = [
  {
    integration: "crm-sync",
    ...{ perHour: 640, shape: "nightly", client: "acme-sync", places: 1 },
    uses: [
      { route: CONTACTS, share: 0.6 },
      { route: CONTACT, share: 0.38 },
      { route: "GET /v1/automations", share: 0.02, code: "insufficient_scope" },
    ],
  },
  {
    integration: "data-lake",
    ...{ perHour: 90, shape: "steady", client: "python-requests", places: 2 },
    uses: [
      { route: EVENTS, share: 0.55 },
      { route: CONTACTS, share: 0.25 },
      { route: CONVERSATIONS, share: 0.2 },
    ],
  },
  {
    integration: "status-page",
    ...{ perHour: 60, shape: "steady", client: "node-fetch", places: 1 },
    uses: [{ route: EVENTS, share: 1 }],
  },
  {
    integration: "helpdesk",
    ...{ perHour: 120, shape: "fading", client: "helpdesk", places: 3 },
    uses: [
      { route: CONVERSATIONS, share: 0.7 },
      { route: CONTACTS, share: 0.3 },
    ],
  },
  {
    integration: "helpdesk-successor",
    ...{ perHour: 120, shape: "growing", client: "helpdesk", places: 3 },
    uses: [
      { route: CONVERSATIONS, share: 0.7 },
      { route: CONTACTS, share: 0.3 },
    ],
  },
  {
    integration: "laptop-script",
    ...{ perHour: 12, shape: "office", client: "curl", places: 1 },
    uses: [{ route: CONTACTS, share: 1, code: "revoked_key" }],
  },
];

/** @type {Step[]} */
export const STEPS = [
  {
    name: "members of each role",
    async run(to) {
      await to.member("manager", "Mateo Manager");
      await to.member("responder", "Rana Responder");
      await to.member("auditor", "Aiko Auditor");
      await to.member("verifier", "Vera Verifier");
      await to.member("manager", "Tess Tester", { environments: ["test"] });
      const { member } = await to.member("responder", "Felix Former");
      await to.call("POST", `/members/${member.id}/revoke`);
    },
  },
  {
    name: "endpoints of events: one that receives, one that fails at first, one that waits for its test",
    needs: "POST /_keyward/v1/endpoints",
    async run(to) {
      const add = async (path, fields) =>
        (await to.call("POST", "/endpoints", { url: `${to.receiver}${path}`, ...fields })).endpoint;
      const audit = await add("/audit", { description: "Everything, for the security team's archive" });
      const pager = await add("/pager", {
        description: "Whoever is on call",
        types: ["key.exposed", "key.quarantined", "leak.*", "incident.*"],
        environments: ["live"],
        signatures: ["v1a", "v1"],
      });
      await add("/chat", { description: "The channel of the platform team", types: ["key.*"] });
      for (const { id } of [audit, pager]) await to.call("POST", `/endpoints/${id}/test`, {});
    },
  },
  {
    name: "active keys, narrow and wide, with and without networks",
    async run(to) {
      await to.issue("crm-sync", {
        ...CRM,
        scopes: ["contacts:read"],
        allowed_cidrs: ["192.0.2.0/24", "127.0.0.0/8"],
        limits: [
          { name: "burst", requests: 100, seconds: 60 },
          { name: "monthly", requests: 100_000, period: "month" },
        ],
      });
      await to.issue("crm-sync", { ...CRM, environment: "test", scopes: ["contacts:read", "contacts:write"] });
      await to.issue("shop-export", {
        purpose: "Hourly export of contacts and events to the shop",
        scopes: ["contacts:read", "events:read"],
        expires_in_days: 30,
      });
      await to.issue("helpdesk", {
        purpose: "Shows conversations beside a ticket",
        owner: "support@acme.example",
        scopes: ["conversations:read", "conversations:write", "contacts:read"],
        expires_in_days: 180,
      });
      await to.issue("data-lake", {
        purpose: "Copies everything to the data lake. To be split by source",
        owner: "data@acme.example",
        scopes: ["contacts:read", "conversations:read", "events:read", "integrations:read", "automations:read"],
        expires_in_days: 365,
      });
      await to.issue("status-page", {
        purpose: "Counts events for the public status page",
        scopes: ["events:read"],
        expires_in_days: 7,
      });
    },
  },
  {
    name: "a list long enough for pages and search",
    async run(to) {
      for (let number = 1; number <= 60; number += 1) {
        const name = `Partner ${String(number).padStart(2, "0")}`;
        const fields = { name, purpose: `Reads contacts for ${name}`, owner: `partner-${number % 7}@acme.example` };
        const environment = number % 3 === 0 ? "test" : "live";
        const scopes = number % 4 === 0 ? ["contacts:read", "events:read"] : ["contacts:read"];
        await to.issue(`partner-${number}`, { ...fields, environment, scopes, expires_in_days: 20 + 3 * number });
      }
    },
  },
  {
    name: "a rotation that is under way, and one that has ended",
    async run(to) {
      const old = to.key("helpdesk");
      const rotated = await to.call("POST", `/keys/${old.id}/rotate`, { overlap_seconds: 86_400 });
      to.keys.set("helpdesk-successor live", { id: rotated.key.id, text: rotated.api_key });
      await to.call("POST", `/keys/${to.key("shop-export").id}/rotate`, { overlap_seconds: 0 });
    },
  },
  {
    name: "revoked keys",
    async run(to) {
      const lost = { purpose: "Widget on the old website", scopes: ["contacts:read"] };
      const { id } = await to.issue("old-widget", lost);
      await to.call("POST", `/keys/${id}/revoke`, { reason: "Found in the page source of the old website" });
      await to.issue("laptop-script", { ...lost, purpose: "A script on a laptop that was stolen" });
      await to.call("POST", `/keys/${to.key("laptop-script").id}/revoke`, { reason: "The laptop was stolen" });
    },
  },
  {
    name: "a key that has expired",
    async run(to) {
      const expires_at = new Date(Date.now() + 1_500).toISOString();
      await to.issue("fair-2026", { purpose: "Badge scanner at the fair", scopes: ["contacts:write"], expires_at });
      await sleep(1_600);
    },
  },
  {
    name: "exposed keys: one in a URL, which is quarantined, and one on a web page",
    needs: "GET /_keyward/v1/keys/{id}/exposures",
    async run(to) {
      await to.issue("newsletter", { purpose: "Signs readers up", scopes: ["contacts:write"] });
      await to.request(`/v1/contacts?api_key=${to.key("newsletter").text}`, null);
      await to.issue("map-widget", { purpose: "Shows events on a map", scopes: ["events:read"] });
      await to.request("/v1/events", to.key("map-widget").text, { headers: { "sec-fetch-site": "cross-site" } });
      // An exposure is reported after the answer.
      for (const integration of ["newsletter", "map-widget"])
        await to.until(async () => {
          const { items } = await to.call("GET", `/keys/${to.key(integration).id}/exposures`);
          return items.length > 0;
        });
    },
  },
  {
    name: "keys that wait for their claim links to be used, and one whose link was withdrawn",
    needs: "GET /_keyward/v1/claims",
    async run(to) {
      const claim = (integration, fields) =>
        to.call("POST", "/keys", {
          integration,
          name: integration,
          environment: "live",
          scopes: ["contacts:read"],
          deliver: "claim",
          ...fields,
        });
      await claim("fleet-app", {
        purpose: "Addresses for the drivers' app",
        owner: "fleet@acme.example",
        claim_hours: 4,
      });
      await claim("payroll", { purpose: "Reads who is employed", owner: "hr@acme.example", claim_hours: 72 });
      const { key } = await claim("contractor", { purpose: "A trial by a contractor", owner: "it@acme.example" });
      await to.call("POST", `/claims/${key.id}/withdraw`);
    },
  },
  {
    name: "an incident that is under way: two keys revoked, and a claim link for each successor",
    needs: "POST /_keyward/v1/incidents",
    async run(to) {
      const stolen = { purpose: "Sends order updates", owner: "orders@acme.example", scopes: ["conversations:write"] };
      const ids = [];
      for (const integration of ["order-bot", "order-archive"]) ids.push((await to.issue(integration, stolen)).id);
      for (const integration of ["order-bot", "order-archive"])
        await to.request("/v1/conversations/4711", to.key(integration).text, { method: "POST" });
      await to.call("POST", "/incidents", {
        key_ids: ids,
        kind: "exposed",
        note: "The build log of the order service was public for a day",
        replace: "claim",
      });
    },
  },
  {
    name: "a leaked key that somebody reported",
    needs: "POST /_keyward/v1/leaks",
    async run(to) {
      await to.issue("webinar", {
        purpose: "Signs up guests",
        owner: "events@acme.example",
        scopes: ["contacts:write"],
      });
      await to.report({ keys: [to.key("webinar").text], note: "In the sources of our landing page" });
    },
  },
  {
    name: "changes to read in the audit log",
    async run(to) {
      const { id } = to.key("data-lake");
      await to.call("PATCH", `/keys/${id}`, { scopes: ["contacts:read", "conversations:read", "events:read"] });
      await to.call("PATCH", `/keys/${to.key("status-page").id}`, { owner: "web@acme.example" });
    },
  },
  {
    name: "requests: accepted, without a key, of a revoked key, without the scope, for an unknown path",
    async run(to) {
      const good = to.key("crm-sync").text;
      for (let page = 1; page <= 25; page += 1) await to.request(`/v1/contacts?page=${page}`, good);
      for (let number = 1; number <= 5; number += 1) await to.request(`/v1/contacts/${number}`, good);
      for (let page = 1; page <= 10; page += 1) await to.request("/v1/events", to.key("data-lake").text);
      await to.request("/v1/contacts", to.key("helpdesk").text);
      await to.request("/v1/contacts", to.key("helpdesk-successor").text);
      await to.request("/v1/contacts", to.key("laptop-script").text);
      await to.request("/v1/contacts", to.key("fair-2026").text);
      await to.request("/v1/events", to.key("status-page").text);
      await to.request("/v1/automations", good);
      await to.request("/v1/contacts", null);
      await to.request("/v2/contacts", good);
    },
  },
  {
    name: "two weeks of use, invented, for the keys that were used just now",
    needs: "GET /_keyward/v1/usage",
    async run(to) {
      for (const { integration, ...past } of PASTS) to.pasts.push({ id: to.key(integration).id, ...past });
      // The past is written where the use of a key is counted, so that use must have arrived.
      await to.until(async () => {
        const { items } = await to.call("GET", "/usage?by=key");
        return to.pasts.every(({ id }) => items.some(({ name }) => name === id));
      });
    },
  },
];

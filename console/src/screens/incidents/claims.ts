// Claim links of incidents opened in this visit. The API gives a link once, with the answer that made it.

import type { Incident } from "../../api/types.ts";

const links = new Map<string, string>();

export function keepClaims(incident: Incident) {
  for (const { claim } of incident.keys) if (claim?.url) links.set(claim.id, claim.url);
}

export const linkOf = (claimId: string) => links.get(claimId) ?? null;

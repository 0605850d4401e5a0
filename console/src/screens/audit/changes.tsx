import type { AuditEntry } from "../../api/types.ts";

type Values = Record<string, unknown>;

function shown(value: unknown): string {
  if (value === null || value === undefined) return "none";
  if (Array.isArray(value)) return value.length === 0 ? "none" : value.map(shown).join(", ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

const FIELD_NAMES: Record<string, string> = {
  allowed_cidrs: "networks",
  expires_at: "end",
  environments: "environments",
  revoke_reason: "reason",
};
const fieldName = (name: string) => FIELD_NAMES[name] ?? name.replaceAll("_", " ");

/** Which fields an entry changed, from what to what, in words. */
export function Changes({ entry }: { entry: AuditEntry }) {
  const { before, after, added, removed, reason } = entry.detail as {
    before?: Values;
    after?: Values;
    added?: Values;
    removed?: Values;
    reason?: unknown;
  };
  const lines: string[] = [];
  for (const [name, value] of Object.entries(after ?? {})) {
    if (name === "revision") continue;
    lines.push(`${fieldName(name)}: ${shown(before?.[name])} → ${shown(value)}`);
  }
  for (const [name, value] of Object.entries(added ?? {})) lines.push(`${fieldName(name)} added: ${shown(value)}`);
  for (const [name, value] of Object.entries(removed ?? {})) lines.push(`${fieldName(name)} removed: ${shown(value)}`);
  if (typeof reason === "string") lines.push(`Reason: ${reason}`);
  if (lines.length === 0) return null;
  return (
    <ul class="small muted stack-4">
      {lines.map((line) => (
        <li key={line}>{line}</li>
      ))}
    </ul>
  );
}

import type { Problem } from "../../api/problem.ts";
import { errorOf, TextArea } from "../../parts/field.tsx";

export const networksOf = (text: string) => text.split(/[\s,;]+/).filter(Boolean);

export function NetworksField({
  text,
  onText,
  problem,
}: {
  text: string;
  onText: (text: string) => void;
  problem: Problem | null;
}) {
  return (
    <TextArea
      label="Networks"
      optional
      rows={2}
      hint="Addresses or networks from which the key may be used, such as 192.0.2.0/24 or 2001:db8::/32, one on each line. Empty means any address."
      error={errorOf(problem, "allowed_cidrs")}
      value={text}
      onValue={onText}
      spellcheck={false}
    />
  );
}

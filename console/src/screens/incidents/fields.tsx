import { useConsole } from "../../app/context.ts";
import { Choices } from "../../parts/choices.tsx";

export type Kind = "exposed" | "suspected" | "other";

export function KindField({ kind, onKind }: { kind: Kind; onKind: (kind: Kind) => void }) {
  return (
    <Choices
      legend="Kind"
      choices={[
        { value: "exposed", label: "Exposed: others could read it" },
        { value: "suspected", label: "Suspected" },
        { value: "other", label: "Another reason" },
      ]}
      value={kind}
      onValue={onKind}
    />
  );
}

export function ReplaceField({
  replace,
  onReplace,
}: {
  replace: "claim" | "none";
  onReplace: (replace: "claim" | "none") => void;
}) {
  const { rights } = useConsole();
  return (
    <Choices
      legend="Replacement"
      choices={[
        { value: "claim", label: "Prepare a claim link for each integration" },
        { value: "none", label: "None" },
      ]}
      value={replace}
      onValue={onReplace}
      hint={rights.issue ? undefined : "You see that the links exist; an owner or manager sends them."}
    />
  );
}

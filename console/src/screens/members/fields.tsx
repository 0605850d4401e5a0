import type { Environment, Role } from "../../api/types.ts";
import { ROLES } from "../../logic/words.ts";
import { Choices } from "../../parts/choices.tsx";

const ALL: Role[] = ["owner", "manager", "responder", "auditor", "verifier"];

export function RoleField({ role, onRole }: { role: Role; onRole: (role: Role) => void }) {
  return (
    <Choices
      legend="Role"
      choices={ALL.map((value) => ({ value, label: ROLES[value]?.name, hint: ROLES[value]?.may }))}
      value={role}
      onValue={onRole}
    />
  );
}

export type Where = "all" | Environment;

export const whereOf = (environments: Environment[] | null): Where =>
  environments?.length === 1 ? (environments[0] ?? "all") : "all";
export const environmentsOf = (where: Where): Environment[] | null => (where === "all" ? null : [where]);

export function WhereField({ where, onWhere }: { where: Where; onWhere: (where: Where) => void }) {
  return (
    <Choices
      legend="Environments"
      choices={[
        { value: "all", label: "All" },
        { value: "live", label: "Live only" },
        { value: "test", label: "Test only" },
      ]}
      value={where}
      onValue={onWhere}
      hint="A limited member does not see keys of the other environment, nor the audit log, which covers both."
    />
  );
}

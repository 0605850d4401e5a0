import { useState } from "preact/hooks";
import { call, serverNow } from "../../api/client.ts";
import { asProblem, type Problem } from "../../api/problem.ts";
import type { Key, KeyChanged, Limit } from "../../api/types.ts";
import { useConsole } from "../../app/context.ts";
import { useMostDays } from "../../app/shared.ts";
import { rightsSentence } from "../../logic/rights.ts";
import { DAY_MS, dateField } from "../../logic/time.ts";
import { Button } from "../../parts/button.tsx";
import { Dialog } from "../../parts/dialog.tsx";
import { errorOf, problemElsewhere, TextArea, TextField } from "../../parts/field.tsx";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { LimitsField } from "../issue/limits-field.tsx";
import { NetworksField, networksOf } from "../issue/networks-field.tsx";
import { ScopesField } from "../issue/scopes-field.tsx";
import { keepReceipt } from "./receipts.ts";

interface Draft {
  name: string;
  purpose: string;
  owner: string;
  scopes: string[];
  networks: string;
  limits: Limit[];
  lastDay: string;
}

const FIELDS = ["name", "purpose", "owner", "scopes", "allowed_cidrs", "limits", "expires_at"];
const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);

/** Only the fields that differ from the key. */
function changesOf(of: Key, draft: Draft, limits: boolean): Record<string, unknown> {
  const scopes = draft.scopes.filter(Boolean);
  const networks = networksOf(draft.networks);
  return {
    ...(draft.name.trim() !== of.name && { name: draft.name.trim() }),
    ...(draft.purpose.trim() !== of.purpose && { purpose: draft.purpose.trim() }),
    ...(draft.owner.trim() !== of.owner && { owner: draft.owner.trim() }),
    ...(!same([...scopes].sort(), [...of.scopes].sort()) && { scopes }),
    ...(!same(networks, of.allowed_cidrs) && { allowed_cidrs: networks }),
    ...(limits && !same(draft.limits, of.limits ?? []) && { limits: draft.limits }),
    ...(draft.lastDay !== dateField(Date.parse(of.expires_at)) && { expires_at: `${draft.lastDay}T23:59:59Z` }),
  };
}

export function ChangeDialog({ of, onClose, onDone }: { of: Key; onClose: () => void; onDone: () => void }) {
  const { capabilities } = useConsole();
  const takesLimits = capabilities.field("UpdateKey", "limits");
  const most = useMostDays();
  const [draft, setDraft] = useState<Draft>({
    name: of.name,
    purpose: of.purpose,
    owner: of.owner,
    scopes: of.scopes,
    networks: of.allowed_cidrs.join("\n"),
    limits: of.limits ?? [],
    lastDay: dateField(Date.parse(of.expires_at)),
  });
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const change = (changes: Partial<Draft>) => setDraft((before) => ({ ...before, ...changes }));
  const changes = changesOf(of, draft, takesLimits);
  const isChanged = Object.keys(changes).length > 0;
  const submit = async () => {
    if (!isChanged) return;
    setBusy(true);
    setProblem(null);
    try {
      // The condition refuses the change if somebody else changed the key since it was read.
      const answer = await call<KeyChanged>(`/keys/${of.id}`, {
        method: "PATCH",
        body: changes,
        revision: of.revision,
      });
      const touchesRights = ["scopes", "allowed_cidrs", "limits", "expires_at"].some((field) => field in changes);
      if (touchesRights) keepReceipt(of.id, answer, "the new rights hold everywhere", null);
      onDone();
    } catch (error) {
      setProblem(asProblem(error));
      setBusy(false);
    }
  };
  const lastDay = Date.parse(`${draft.lastDay}T23:59:59Z`);
  const rights = {
    scopes: draft.scopes.filter(Boolean),
    allowed_cidrs: networksOf(draft.networks),
    limits: draft.limits,
  };
  return (
    <Dialog
      title={`Change ${of.name}`}
      onClose={onClose}
      onSubmit={submit}
      wide
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" busy={busy} disabled={!isChanged}>
            Save changes
          </Button>
        </>
      }
    >
      <ProblemBox problem={problemElsewhere(problem, FIELDS)} />
      <TextField
        label="Name"
        value={draft.name}
        onValue={(name) => change({ name })}
        error={errorOf(problem, "name")}
        maxLength={100}
        required
      />
      <TextArea
        label="Purpose"
        rows={2}
        value={draft.purpose}
        onValue={(purpose) => change({ purpose })}
        error={errorOf(problem, "purpose")}
        maxLength={500}
        required
      />
      <TextField
        label="Owner"
        value={draft.owner}
        onValue={(owner) => change({ owner })}
        error={errorOf(problem, "owner")}
        maxLength={254}
        required
      />
      <ScopesField scopes={draft.scopes} onScopes={(scopes) => change({ scopes })} problem={problem} />
      <NetworksField text={draft.networks} onText={(networks) => change({ networks })} problem={problem} />
      {takesLimits && (
        <LimitsField
          limits={draft.limits}
          onLimits={(limits) => change({ limits })}
          problem={problem}
          absent="The key has no limit. Requests are refused for other reasons only."
        />
      )}
      <TextField
        label="Last day (UTC)"
        type="date"
        value={draft.lastDay}
        min={dateField(serverNow())}
        max={dateField(serverNow() + (most - 1) * DAY_MS)}
        onValue={(value) => change({ lastDay: value })}
        error={errorOf(problem, "expires_at")}
      />
      <p class="summary-line">{rightsSentence(rights, Number.isFinite(lastDay) ? lastDay : null)}</p>
    </Dialog>
  );
}

import { useState } from "preact/hooks";
import { call } from "../../api/client.ts";
import { asProblem, type Problem } from "../../api/problem.ts";
import type { Endpoint, EndpointChanged, Environment } from "../../api/types.ts";
import { Button } from "../../parts/button.tsx";
import { Choices } from "../../parts/choices.tsx";
import { Dialog } from "../../parts/dialog.tsx";
import { errorOf, problemElsewhere, TextField } from "../../parts/field.tsx";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { StoreSecret } from "./store-secret.tsx";
import { GROUPS } from "./words.ts";

interface Draft {
  url: string;
  description: string;
  /** Null for all. */
  types: string[] | null;
  environment: Environment | null;
  hmac: boolean;
}

const FIELDS = ["url", "description", "types"];
const isGroup = (type: string) => GROUPS.some(([pattern]) => pattern === type);

function TypesField({
  types,
  onTypes,
  problem,
}: {
  types: string[] | null;
  onTypes: (types: string[] | null) => void;
  problem: Problem | null;
}) {
  const [others, setOthers] = useState((types ?? []).filter((type) => !isGroup(type)).join(" "));
  const groups = (types ?? []).filter(isGroup);
  const toggle = (pattern: string) =>
    onTypes(
      (types ?? []).includes(pattern) ? (types ?? []).filter((type) => type !== pattern) : [...(types ?? []), pattern],
    );
  return (
    <div class="stack-8">
      <Choices
        legend="Events"
        choices={[
          { value: "all", label: "All" },
          { value: "some", label: "Some" },
        ]}
        value={types === null ? "all" : "some"}
        onValue={(value) => {
          setOthers("");
          onTypes(value === "all" ? null : ["key.*"]);
        }}
      />
      {types !== null && (
        <>
          <fieldset class="stack-4" aria-label="Groups of events">
            {GROUPS.map(([pattern, what]) => (
              <label key={pattern} class="check">
                <input type="checkbox" checked={groups.includes(pattern)} onChange={() => toggle(pattern)} />
                <span>{what}</span>
              </label>
            ))}
          </fieldset>
          <TextField
            label="Single types"
            optional
            hint="Such as key.revoked, separated by spaces."
            value={others}
            onValue={(text) => {
              setOthers(text);
              onTypes([...groups, ...text.split(/[\s,]+/).filter((type) => type && !groups.includes(type))]);
            }}
            error={errorOf(problem, "types")}
            autocapitalize="off"
            spellcheck={false}
          />
        </>
      )}
    </div>
  );
}

const bodyOf = (draft: Draft) => ({
  url: draft.url.trim(),
  description: draft.description.trim() || null,
  types: draft.types,
  environments: draft.environment ? [draft.environment] : null,
  signatures: draft.hmac ? ["v1a", "v1"] : ["v1a"],
});

const draftOf = (of: Endpoint | null): Draft => ({
  url: of?.url ?? "",
  description: of?.description ?? "",
  types: of?.types ?? null,
  environment: of?.environments?.length === 1 ? (of.environments[0] ?? null) : null,
  hmac: of?.signatures.includes("v1") ?? false,
});

/** Adds an endpoint, or changes one. A secret that this makes is shown once. */
export function EndpointDialog({
  of,
  onClose,
  onDone,
}: {
  of: Endpoint | null;
  onClose: () => void;
  onDone: (id: string) => void;
}) {
  const [draft, setDraft] = useState<Draft>(draftOf(of));
  const [made, setMade] = useState<EndpointChanged | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const change = (changes: Partial<Draft>) => setDraft((before) => ({ ...before, ...changes }));
  const ready = Boolean(draft.url.trim()) && draft.types?.length !== 0;
  const submit = async () => {
    if (!ready || made) return;
    setBusy(true);
    setProblem(null);
    try {
      const answer = of
        ? await call<EndpointChanged>(`/endpoints/${of.id}`, {
            method: "PATCH",
            body: bodyOf(draft),
            revision: of.revision,
          })
        : await call<EndpointChanged>("/endpoints", { body: bodyOf(draft) });
      if (answer.secret) setMade(answer);
      else onDone(answer.endpoint.id);
    } catch (error) {
      setProblem(asProblem(error));
    }
    setBusy(false);
  };
  if (made?.secret) return <StoreSecret secret={made.secret} onStored={() => onDone(made.endpoint.id)} />;
  return (
    <Dialog
      title={of ? "Change the endpoint" : "Add an endpoint"}
      onClose={onClose}
      onSubmit={submit}
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" busy={busy} disabled={!ready}>
            {of ? "Save changes" : "Add endpoint"}
          </Button>
        </>
      }
    >
      <p>
        {of
          ? "With another address it receives nothing until a test is answered with 2xx."
          : "It receives nothing until a test is answered with 2xx."}
      </p>
      <ProblemBox problem={problemElsewhere(problem, FIELDS)} />
      <TextField
        label="Address"
        hint={
          <>
            HTTPS, at a host that the setting <code>EVENT_HOSTS</code> lists.
          </>
        }
        value={draft.url}
        onValue={(url) => change({ url })}
        error={errorOf(problem, "url")}
        type="url"
        autocomplete="off"
        required
        autofocus
      />
      <TextField
        label="Description"
        optional
        value={draft.description}
        onValue={(description) => change({ description })}
        error={errorOf(problem, "description")}
        maxLength={500}
      />
      <TypesField types={draft.types} onTypes={(types) => change({ types })} problem={problem} />
      <Choices
        legend="Environment"
        choices={[
          { value: "all", label: "All" },
          { value: "live", label: "Live" },
          { value: "test", label: "Test" },
        ]}
        value={draft.environment ?? "all"}
        onValue={(value) => change({ environment: value === "all" ? null : (value as Environment) })}
        hint="Events about no key, or about keys of both environments, are always sent."
      />
      <label class="check">
        <input type="checkbox" checked={draft.hmac} onChange={() => change({ hmac: !draft.hmac })} />
        <span>Sign with a shared secret too (v1), for receivers that cannot verify Ed25519</span>
      </label>
    </Dialog>
  );
}

import { useRef, useState } from "preact/hooks";
import { call, newIdempotencyKey, serverNow } from "../../api/client.ts";
import { asProblem, type Problem } from "../../api/problem.ts";
import type { Environment, KeyIssued, Limit } from "../../api/types.ts";
import { useConsole } from "../../app/context.ts";
import { Page } from "../../app/page.tsx";
import { go, href, usePlace } from "../../app/router.ts";
import { useMostDays } from "../../app/shared.ts";
import { purposeSentence, rightsSentence } from "../../logic/rights.ts";
import { Button } from "../../parts/button.tsx";
import { EnvironmentChip } from "../../parts/chip.tsx";
import { Choices } from "../../parts/choices.tsx";
import { errorOf, problemElsewhere, TextArea, TextField } from "../../parts/field.tsx";
import { Form } from "../../parts/form.tsx";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { Delivered } from "./delivered.tsx";
import { type Delivery, DeliveryField } from "./delivery-field.tsx";
import { type End, EndField, endBody, endOf } from "./end-field.tsx";
import { LimitsField } from "./limits-field.tsx";
import { NetworksField, networksOf } from "./networks-field.tsx";
import { ScopesField } from "./scopes-field.tsx";

interface Draft {
  name: string;
  integration: string;
  environment: Environment;
  purpose: string;
  owner: string;
  scopes: string[];
  networks: string;
  limits: Limit[];
  end: End;
  delivery: Delivery;
  hours: number;
}

/** A slug of a name: "CRM sync" becomes "crm-sync". */
const slug = (text: string) =>
  text
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 64);

const FIELDS = [
  "name",
  "integration",
  "environment",
  "purpose",
  "owner",
  "scopes",
  "allowed_cidrs",
  "limits",
  "expires_at",
  "expires_in_days",
];

function bodyOf(draft: Draft, takes: { deliver: boolean; limits: boolean }) {
  return {
    name: draft.name.trim(),
    integration: draft.integration.trim(),
    environment: draft.environment,
    purpose: draft.purpose.trim(),
    owner: draft.owner.trim(),
    scopes: draft.scopes.filter(Boolean),
    allowed_cidrs: networksOf(draft.networks),
    ...endBody(draft.end),
    ...(takes.limits && draft.limits.length > 0 && { limits: draft.limits }),
    ...(takes.deliver && draft.delivery === "claim" && { deliver: "claim", claim_hours: draft.hours }),
  };
}

function useDraft() {
  const { member, capabilities } = useConsole();
  const { query } = usePlace();
  const env = query.get("env");
  const [only] = member.environments?.length === 1 ? member.environments : [];
  const takes = {
    deliver: capabilities.field("IssueKey", "deliver"),
    limits: capabilities.field("IssueKey", "limits"),
  };
  const [draft, setDraft] = useState<Draft>({
    name: "",
    integration: query.get("integration") ?? "",
    environment: only ?? (env === "test" ? "test" : "live"),
    purpose: "",
    owner: member.email,
    scopes: [],
    networks: "",
    limits: [],
    end: { days: 90 },
    delivery: takes.deliver ? "claim" : "show",
    hours: 24,
  });
  const change = (changes: Partial<Draft>) => setDraft((before) => ({ ...before, ...changes }));
  return { draft, change, takes, only };
}

function StepHead({ step, title }: { step: number; title: string }) {
  return (
    <div class="step-head">
      <span class="step" aria-hidden="true">
        {step}
      </span>
      <h2>{title}</h2>
    </div>
  );
}

type PartProps = { draft: Draft; change: (changes: Partial<Draft>) => void; problem: Problem | null };

function WhatFor({ draft, change, problem, only }: PartProps & { only?: Environment }) {
  // The integration follows the name until somebody writes one.
  const named = useRef(draft.integration !== "");
  const onName = (name: string) => change(named.current ? { name } : { name, integration: slug(name) });
  const onIntegration = (integration: string) => {
    named.current = integration !== "";
    change({ integration });
  };
  const environments: Environment[] = only ? [only] : ["live", "test"];
  return (
    <section class="panel panel-body">
      <StepHead step={1} title="What it is for" />
      <div class="stack">
        <div class="form-grid">
          <TextField
            label="Name"
            hint="As people call it, such as CRM sync."
            value={draft.name}
            onValue={onName}
            error={errorOf(problem, "name")}
            maxLength={100}
            autocomplete="off"
            required
          />
          <TextField
            label="Integration"
            hint="The program that uses the key: a-z, 0-9 and hyphens. It has one active key in each environment."
            value={draft.integration}
            onValue={onIntegration}
            error={errorOf(problem, "integration")}
            maxLength={64}
            autocomplete="off"
            autocapitalize="off"
            spellcheck={false}
            required
          />
        </div>
        <Choices
          legend="Environment"
          choices={environments.map((value) => ({ value, label: value === "live" ? "Live" : "Test" }))}
          value={draft.environment}
          onValue={(environment) => change({ environment })}
          hint="A test key never reaches the live origin."
        />
        <TextArea
          label="Purpose"
          rows={2}
          hint="What it does with the API, such as: nightly contact sync to the CRM."
          value={draft.purpose}
          onValue={(purpose) => change({ purpose })}
          error={errorOf(problem, "purpose")}
          maxLength={500}
          required
        />
        <TextField
          label="Owner"
          hint="Who answers for the key: a person or a team that is reached by this address."
          value={draft.owner}
          onValue={(owner) => change({ owner })}
          error={errorOf(problem, "owner")}
          maxLength={254}
          required
        />
      </div>
    </section>
  );
}

function WhatItMay({ draft, change, problem, limits }: PartProps & { limits: boolean }) {
  return (
    <section class="panel panel-body">
      <StepHead step={2} title="What it may do" />
      <div class="stack">
        <ScopesField scopes={draft.scopes} onScopes={(scopes) => change({ scopes })} problem={problem} />
        <NetworksField text={draft.networks} onText={(networks) => change({ networks })} problem={problem} />
        {limits && (
          <LimitsField
            limits={draft.limits}
            onLimits={(next) => change({ limits: next })}
            problem={problem}
            absent="Without one, the deployment's default limits apply, if it has any."
          />
        )}
        <EndField end={draft.end} onEnd={(end) => change({ end })} problem={problem} most={useMostDays()} />
      </div>
    </section>
  );
}

const isWhole = (draft: Draft) =>
  Boolean(
    draft.name.trim() &&
      draft.integration.trim() &&
      draft.purpose.trim() &&
      draft.owner.trim() &&
      draft.scopes.some(Boolean),
  );

export function Issue() {
  const { draft, change, takes, only } = useDraft();
  const [issued, setIssued] = useState<KeyIssued | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const retryKey = useRef(newIdempotencyKey());
  const submit = async () => {
    setBusy(true);
    setProblem(null);
    try {
      setIssued(await call<KeyIssued>("/keys", { body: bodyOf(draft, takes), idempotencyKey: retryKey.current }));
      scrollTo(0, 0);
    } catch (error) {
      const refused = asProblem(error);
      setProblem(refused);
      // Refused, not lost: a corrected form is a new request.
      if (refused.status > 0 && refused.status < 500) retryKey.current = newIdempotencyKey();
      requestAnimationFrame(() => document.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus());
    }
    setBusy(false);
  };
  if (issued) {
    return (
      <Page
        title={issued.claim ? "Send the claim link" : "Store the key"}
        beside={<EnvironmentChip environment={issued.key.environment} />}
        crumb={<a href={href("/keys")}>Keys</a>}
      >
        <div class="panel panel-body prose">
          <Delivered
            of={issued.key}
            apiKey={issued.api_key}
            claim={issued.claim}
            onDone={() => go(href("/key", { id: issued.key.id }))}
          />
        </div>
      </Page>
    );
  }
  const until = endOf(draft.end, serverNow());
  const rights = {
    scopes: draft.scopes.filter(Boolean),
    allowed_cidrs: networksOf(draft.networks),
    limits: draft.limits,
  };
  return (
    <Page
      title="Issue a key"
      crumb={<a href={href("/keys")}>Keys</a>}
      intro="One key for one program, with only the rights that it needs."
    >
      <Form class="stack-24" style={{ maxWidth: "800px" }} onSubmit={submit} noValidate>
        <WhatFor draft={draft} change={change} problem={problem} only={only} />
        <WhatItMay draft={draft} change={change} problem={problem} limits={takes.limits} />
        <section class="panel panel-body">
          <StepHead step={3} title="How it gets there" />
          {takes.deliver ? (
            <DeliveryField
              delivery={draft.delivery}
              onDelivery={(delivery) => change({ delivery })}
              hours={draft.hours}
              onHours={(hours) => change({ hours })}
            />
          ) : (
            <p>The key is shown on the next page, once. Carry it to where it is used, and store it there.</p>
          )}
        </section>
        <ProblemBox problem={problemElsewhere(problem, FIELDS)} />
        {isWhole(draft) && (
          <p class="summary-line lead">
            <strong class="strong">{draft.name.trim()}</strong>:{" "}
            {rightsSentence(rights, Number.isFinite(until) ? until : null)} {purposeSentence("you", draft.purpose)}
          </p>
        )}
        <div class="row">
          <Button kind="primary" type="submit" busy={busy} disabled={!isWhole(draft)}>
            {draft.delivery === "claim" ? "Issue and get the claim link" : "Issue and show the key"}
          </Button>
          <a class="button quiet" href={href("/keys")}>
            Cancel
          </a>
        </div>
      </Form>
    </Page>
  );
}

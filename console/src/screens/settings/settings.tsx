import type { ComponentChildren } from "preact";
import { call } from "../../api/client.ts";
import type { Setting, Settings as SettingsAnswer } from "../../api/types.ts";
import { useConsole } from "../../app/context.ts";
import { Page } from "../../app/page.tsx";
import { useSettings } from "../../app/shared.ts";
import { useResource } from "../../logic/resource.ts";
import { routeRow } from "../../logic/rights.ts";
import { Button } from "../../parts/button.tsx";
import { Chip } from "../../parts/chip.tsx";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { Skeleton } from "../../parts/skeleton.tsx";
import { Table } from "../../parts/table.tsx";
import { Time } from "../../parts/time.tsx";
import { WithCode } from "../../parts/with-code.tsx";

function shown(value: unknown): ComponentChildren {
  if (value === null || value === undefined || value === "") return <span class="muted">not set</span>;
  if (typeof value === "object") return <code>{JSON.stringify(value)}</code>;
  return <code>{String(value)}</code>;
}

const isChanged = ({ value, default: initial, secret, is_set }: Setting) =>
  !secret && is_set !== false && JSON.stringify(value ?? null) !== JSON.stringify(initial ?? null);

/** The meaning without the addresses of its links, which are the documents'. */
const withoutLinks = (markdown: string) => markdown.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1");

/** A secret is set or not; its value is never shown. */
function SecretState({ isSet }: { isSet: boolean }) {
  return isSet ? (
    <Chip tone="ok" shape="●">
      Set
    </Chip>
  ) : (
    <span class="muted">not set</span>
  );
}

function Section({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <section class="stack-8">
      <h2>{title}</h2>
      {children}
    </section>
  );
}

function Health() {
  const health = useResource<{ status: string; version: string }>("health", () => call("/_keyward/health"));
  return (
    <div class="tiles">
      <div class="tile">
        <span class="what">Health</span>
        <span>
          {health.problem ? (
            <Chip tone="danger" shape="✕">
              {health.problem.title}
            </Chip>
          ) : health.data ? (
            <Chip tone="ok" shape="●">
              Serving
            </Chip>
          ) : (
            "…"
          )}
        </span>
        <span class="what">asked {health.at ? <Time at={health.at} /> : "now"}</span>
      </div>
      <div class="tile">
        <span class="what">Version</span>
        <span class="number">{health.data?.version ?? "…"}</span>
      </div>
      <div class="tile">
        <span class="what">Control plane</span>
        <span class="mono">{location.host}</span>
      </div>
    </div>
  );
}

function Details({ answer }: { answer: SettingsAnswer }) {
  return (
    <>
      <Section title="Settings">
        <Table
          caption="Settings"
          rows={answer.settings}
          idOf={({ name }) => name}
          columns={[
            {
              label: "Setting",
              cell: (setting) => (
                <span class="stack-4">
                  <code>{setting.name}</code>
                  {setting.meaning && (
                    <span class="small muted">
                      <WithCode text={withoutLinks(setting.meaning)} />
                    </span>
                  )}
                </span>
              ),
            },
            {
              label: "Value",
              cell: (setting) => (
                <span class="row">
                  {setting.secret ? <SecretState isSet={setting.is_set ?? false} /> : shown(setting.value)}
                  {isChanged(setting) && <Chip tone="accent">Changed</Chip>}
                </span>
              ),
            },
            {
              label: "Default",
              cell: (setting) => (setting.default === null ? <span class="muted">–</span> : shown(setting.default)),
            },
          ]}
        />
      </Section>
      <Section title="Routes">
        <p class="muted prose">The first match decides. A path that no route has is 404, whatever the key.</p>
        <Table
          caption="Routes"
          rows={answer.routes.map((route, at) => ({ ...routeRow(route), at }))}
          idOf={({ at }) => at}
          columns={[
            {
              label: "Methods",
              tight: true,
              cell: ({ methods }) => (
                <span class="methods">
                  {methods.map((name) => (
                    <span key={name} class="method">
                      {name === "*" ? "any" : name}
                    </span>
                  ))}
                </span>
              ),
            },
            { label: "Path", cell: ({ path }) => <code>{path}</code> },
            { label: "Needs", cell: ({ scope, isPublic }) => (isPublic ? "nothing: public" : <code>{scope}</code>) },
          ]}
        />
      </Section>
      {answer.limits && answer.limits.length > 0 && (
        <Section title="Limits">
          <dl class="facts panel panel-body">
            {answer.limits.map(({ name, value }) => (
              <>
                <dt>{name}</dt>
                <dd>{value}</dd>
              </>
            ))}
          </dl>
        </Section>
      )}
      {answer.versions && (
        <Section title="Versions">
          <dl class="facts panel panel-body">
            {Object.entries(answer.versions).map(([name, value]) => (
              <>
                <dt>{name.replaceAll("_", " ")}</dt>
                <dd class="mono">{value ?? <span class="muted">none</span>}</dd>
              </>
            ))}
          </dl>
        </Section>
      )}
    </>
  );
}

/** Settings and health, read only: they change with a deployment, so that a change has a review and an author. */
export function Settings() {
  const { member } = useConsole();
  const { data, problem } = useSettings();
  return (
    <Page
      title="Settings"
      intro="Read only. Settings are in wrangler.toml and change with a deployment, so that each change has an author and a review."
      actions={<Button onClick={() => print()}>Print for a review</Button>}
    >
      <div class="stack-24">
        <Health />
        <ProblemBox problem={problem} />
        {!data && !problem && <Skeleton rows={8} />}
        {data && <Details answer={data} />}
        <p class="small muted">Secrets are never shown. Read by {member.name}.</p>
      </div>
    </Page>
  );
}

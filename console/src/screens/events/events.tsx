import { useState } from "preact/hooks";
import { call } from "../../api/client.ts";
import { asProblem, type Problem } from "../../api/problem.ts";
import type { Page as ApiPage, Delivery, Endpoint } from "../../api/types.ts";
import { say, sayProblem, soon } from "../../app/notices.ts";
import { Page } from "../../app/page.tsx";
import { setParams, usePlace } from "../../app/router.ts";
import { useResource } from "../../logic/resource.ts";
import { capital, count } from "../../logic/words.ts";
import { Button } from "../../parts/button.tsx";
import { Chip } from "../../parts/chip.tsx";
import { Dialog } from "../../parts/dialog.tsx";
import { Empty } from "../../parts/empty.tsx";
import { errorOf, problemElsewhere, TextField } from "../../parts/field.tsx";
import { Icon } from "../../parts/icon.tsx";
import { Menu } from "../../parts/menu.tsx";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { SecretOnce } from "../../parts/secret-once.tsx";
import { Skeleton } from "../../parts/skeleton.tsx";
import { Table } from "../../parts/table.tsx";
import { Tabs } from "../../parts/tabs.tsx";
import { Time } from "../../parts/time.tsx";
import { HowToVerify } from "./how-to-verify.tsx";

const STATES = {
  enabled: { tone: "ok", shape: "●" },
  pending: { tone: "accent", shape: "○" },
  disabled: { tone: "quiet", shape: "–" },
} as const;

function EndpointStatus({ status }: { status: Endpoint["status"] }) {
  return (
    <Chip tone={STATES[status]?.tone} shape={STATES[status]?.shape}>
      {capital(status)}
    </Chip>
  );
}

function AddDialog({ onClose, onDone }: { onClose: () => void; onDone: () => void }) {
  const [url, setUrl] = useState("");
  const [description, setDescription] = useState("");
  const [types, setTypes] = useState("");
  const [hmac, setHmac] = useState(false);
  const [secret, setSecret] = useState<string | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async () => {
    if (secret) return;
    setBusy(true);
    setProblem(null);
    try {
      const wanted = types.split(/[\s,]+/).filter(Boolean);
      const body = {
        url: url.trim(),
        description: description.trim(),
        types: wanted.length > 0 ? wanted : null,
        environments: null,
        signatures: hmac ? ["v1a", "v1"] : ["v1a"],
      };
      const answer = await call<{ endpoint: Endpoint; secret: string | null }>("/endpoints", { body });
      if (answer.secret) setSecret(answer.secret);
      else onDone();
    } catch (error) {
      setProblem(asProblem(error));
    }
    setBusy(false);
  };
  if (secret) {
    return (
      <Dialog title="Store the signing secret">
        <p>The receiver checks the signature v1 of each event with this secret.</p>
        <SecretOnce secret={secret} what="signing secret" fileName="keyward-events-secret.txt" onStored={onDone} />
      </Dialog>
    );
  }
  return (
    <Dialog
      title="Add an endpoint"
      onClose={onClose}
      onSubmit={submit}
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" busy={busy} disabled={!url.trim()}>
            Add endpoint
          </Button>
        </>
      }
    >
      <p>
        It is pending until a test is answered with 2xx. The deployment's EVENT_HOSTS lists the hosts that may receive
        events.
      </p>
      <ProblemBox problem={problemElsewhere(problem, ["url", "description", "types"])} />
      <TextField
        label="Address"
        hint="https://…"
        value={url}
        onValue={setUrl}
        error={errorOf(problem, "url")}
        type="url"
        required
        autofocus
      />
      <TextField
        label="Description"
        optional
        value={description}
        onValue={setDescription}
        error={errorOf(problem, "description")}
        maxLength={500}
      />
      <TextField
        label="Types"
        optional
        hint="Such as key.* or incident.opened, separated by spaces. Empty means all."
        value={types}
        onValue={setTypes}
        error={errorOf(problem, "types")}
      />
      <label class="check">
        <input type="checkbox" checked={hmac} onChange={() => setHmac(!hmac)} />
        <span>Sign with a shared secret too (v1), for receivers without Ed25519</span>
      </label>
    </Dialog>
  );
}

function Endpoints({ list, reload }: { list: Endpoint[]; reload: () => void }) {
  const act = async (work: Promise<unknown>, done: string) => {
    try {
      await work;
      say(done);
      reload();
    } catch (error) {
      sayProblem(error);
    }
  };
  return (
    <Table
      caption="Endpoints"
      rows={list}
      idOf={({ id }) => id}
      columns={[
        {
          label: "Address",
          cell: (one) => (
            <span class="stack-4">
              <span class="mono">{one.url}</span>
              <span class="small muted">{one.description}</span>
            </span>
          ),
        },
        { label: "Status", tight: true, cell: ({ status }) => <EndpointStatus status={status} /> },
        { label: "Types", cell: ({ types }) => (types ? types.join(", ") : "all") },
        { label: "Last delivery", tight: true, cell: (one) => <Time at={one.last_delivery_at} /> },
        {
          label: "",
          tight: true,
          cell: (one) => (
            <Menu label={`Actions for ${one.url}`} summary={<Icon name="more" />}>
              <button
                type="button"
                onClick={() =>
                  act(call(`/endpoints/${one.id}/test`, { method: "POST", body: {} }), "Sent a test event.")
                }
              >
                Send a test
              </button>
              <button type="button" onClick={() => setParams({ tab: "deliveries", endpoint: one.id })}>
                Show deliveries
              </button>
              {one.status === "enabled" && (
                <button
                  type="button"
                  onClick={() =>
                    soon("The endpoint is disabled", async () =>
                      act(
                        call(`/endpoints/${one.id}`, { method: "PATCH", body: { status: "disabled" } }),
                        "Disabled the endpoint.",
                      ),
                    )
                  }
                >
                  Disable
                </button>
              )}
              {one.status === "disabled" && (
                <button
                  type="button"
                  onClick={() =>
                    act(
                      call(`/endpoints/${one.id}`, { method: "PATCH", body: { status: "enabled" } }),
                      "Enabled the endpoint.",
                    )
                  }
                >
                  Enable
                </button>
              )}
              <button
                type="button"
                class="danger"
                onClick={() =>
                  soon("The endpoint is deleted", async () =>
                    act(call(`/endpoints/${one.id}`, { method: "DELETE" }), "Deleted the endpoint."),
                  )
                }
              >
                Delete
              </button>
            </Menu>
          ),
        },
      ]}
    />
  );
}

function Deliveries() {
  const endpoint = usePlace().query.get("endpoint");
  const list = useResource<ApiPage<Delivery>>(`deliveries ${endpoint}`, () =>
    call<ApiPage<Delivery>>("/deliveries", { query: { endpoint } }),
  );
  if (list.problem) return <ProblemBox problem={list.problem} retry={list.reload} />;
  if (!list.data) return <Skeleton rows={4} />;
  if (list.data.items.length === 0) return <Empty>Nothing was delivered in the last 30 days.</Empty>;
  const resend = (id: string) =>
    call(`/deliveries/${id}/resend`, { method: "POST", body: {} }).then(() => {
      say("Sent it again.");
      list.reload();
    }, sayProblem);
  return (
    <Table
      caption="Deliveries"
      rows={list.data.items}
      idOf={({ id }) => id}
      columns={[
        { label: "Event", cell: ({ type }) => <code>{type}</code> },
        { label: "Result", tight: true, cell: ({ status }) => capital(status) },
        {
          label: "Attempts",
          cell: ({ attempts }) => (
            <details>
              <summary>{count(attempts.length, "attempt")}</summary>
              <ul class="small stack-4">
                {attempts.map((attempt) => (
                  <li key={attempt.at}>
                    <Time at={attempt.at} />: {attempt.status ?? attempt.error ?? "no answer"}
                    {attempt.duration_ms !== null && attempt.duration_ms !== undefined && `, ${attempt.duration_ms} ms`}
                  </li>
                ))}
              </ul>
            </details>
          ),
        },
        {
          label: "",
          tight: true,
          cell: ({ id }) => (
            <Button small onClick={() => resend(id)}>
              Send again
            </Button>
          ),
        },
      ]}
    />
  );
}

export function Events() {
  const { query } = usePlace();
  const tab = query.get("tab") ?? "endpoints";
  const [adding, setAdding] = useState(false);
  const list = useResource<ApiPage<Endpoint>>("endpoints", () => call<ApiPage<Endpoint>>("/endpoints"));
  return (
    <Page
      title="Events"
      intro="Signed messages to your own systems when a key or member changes. They never hold a secret."
      actions={
        <Button kind="primary" icon="plus" onClick={() => setAdding(true)}>
          Add endpoint
        </Button>
      }
    >
      <Tabs
        label="Events"
        tabs={[
          { id: "endpoints", label: "Endpoints" },
          { id: "deliveries", label: "Deliveries" },
          { id: "verify", label: "How to verify" },
        ]}
        value={tab}
        onValue={(id) => setParams({ tab: id, endpoint: null }, { replace: true })}
      >
        {tab === "endpoints" && (
          <>
            <ProblemBox problem={list.problem} retry={list.reload} />
            {!list.data && list.loading && <Skeleton rows={3} />}
            {list.data?.items.length === 0 && (
              <div class="panel">
                <Empty>No endpoint yet. Add one to hear of issued, exposed and revoked keys at once.</Empty>
              </div>
            )}
            {list.data && list.data.items.length > 0 && <Endpoints list={list.data.items} reload={list.reload} />}
          </>
        )}
        {tab === "deliveries" && <Deliveries />}
        {tab === "verify" && <HowToVerify />}
      </Tabs>
      {adding && (
        <AddDialog
          onClose={() => setAdding(false)}
          onDone={() => {
            setAdding(false);
            list.reload();
          }}
        />
      )}
    </Page>
  );
}

import { useState } from "preact/hooks";
import { call } from "../../api/client.ts";
import type { Delivery, Endpoint, EndpointChanged } from "../../api/types.ts";
import { say, sayProblem, soon } from "../../app/notices.ts";
import { setParams } from "../../app/router.ts";
import { capital, count, list as inWords } from "../../logic/words.ts";
import { Chip } from "../../parts/chip.tsx";
import { Icon } from "../../parts/icon.tsx";
import { Menu } from "../../parts/menu.tsx";
import { Table } from "../../parts/table.tsx";
import { Time } from "../../parts/time.tsx";
import { EndpointDialog } from "./endpoint-dialog.tsx";
import { ReplayDialog } from "./replay-dialog.tsx";
import { StoreSecret } from "./store-secret.tsx";
import { attemptInWords, statusInWords } from "./words.ts";

const STATES = {
  enabled: { tone: "ok", shape: "●" },
  pending: { tone: "accent", shape: "○" },
  disabled: { tone: "quiet", shape: "–" },
} as const;

function EndpointStatus({ of }: { of: Endpoint }) {
  const why = statusInWords(of);
  return (
    <span class="stack-4">
      <span>
        <Chip tone={STATES[of.status]?.tone} shape={STATES[of.status]?.shape}>
          {capital(of.status)}
        </Chip>
      </span>
      {why && <span class="small muted">{why}</span>}
    </span>
  );
}

type Asked = { what: "change" | "replay"; of: Endpoint } | { what: "secret"; secret: string } | null;

/** Sends the test and says what the receiver answered. */
async function sendTest(of: Endpoint) {
  const answer = await call<{ delivered: boolean; delivery: Delivery }>(`/endpoints/${of.id}/test`, {
    method: "POST",
    body: {},
  });
  const attempt = answer.delivery.attempts.at(-1);
  const outcome = attempt ? attemptInWords(attempt) : "no answer";
  say(answer.delivered ? `The test arrived: ${outcome}.` : `The test failed: ${outcome}.`);
}

interface Actions {
  ask: (asked: Asked) => void;
  /** Does something, says so if it succeeds, and reads the list again. */
  act: (work: Promise<unknown>, done?: string) => Promise<void>;
}

function ActionsMenu({ of, ask, act }: Actions & { of: Endpoint }) {
  const path = `/endpoints/${of.id}`;
  const patch = (status: string, done: string) => act(call(path, { method: "PATCH", body: { status } }), done);
  const newSecret = async () => {
    try {
      const { secret } = await call<EndpointChanged>(`${path}/rotate-secret`, { method: "POST", body: {} });
      if (secret) ask({ what: "secret", secret });
    } catch (error) {
      sayProblem(error);
    }
  };
  return (
    <Menu label={`Actions for ${of.url}`} summary={<Icon name="more" />}>
      <button type="button" onClick={() => act(sendTest(of))}>
        Send a test
      </button>
      <button type="button" onClick={() => setParams({ tab: "deliveries", endpoint: of.id })}>
        Show deliveries
      </button>
      {of.status === "enabled" && (
        <button type="button" onClick={() => ask({ what: "replay", of })}>
          Send past events again
        </button>
      )}
      <button type="button" onClick={() => ask({ what: "change", of })}>
        Change
      </button>
      {of.signatures.includes("v1") && (
        <button type="button" onClick={newSecret}>
          Make a new secret
        </button>
      )}
      {of.status === "enabled" && (
        <button
          type="button"
          onClick={() => soon("The endpoint is disabled", () => patch("disabled", "Disabled the endpoint."))}
        >
          Disable
        </button>
      )}
      {of.status === "disabled" && (
        <button type="button" onClick={() => patch("enabled", "Enabled the endpoint.")}>
          Enable
        </button>
      )}
      <button
        type="button"
        class="danger"
        onClick={() =>
          soon("The endpoint is deleted", () => act(call(path, { method: "DELETE" }), "Deleted the endpoint."))
        }
      >
        Delete
      </button>
    </Menu>
  );
}

/** The endpoints, with what each receives and what can be done with it. */
export function Endpoints({ list, reload }: { list: Endpoint[]; reload: () => Promise<void> }) {
  const [asked, ask] = useState<Asked>(null);
  const act = async (work: Promise<unknown>, done?: string) => {
    try {
      await work;
      if (done) say(done);
    } catch (error) {
      sayProblem(error);
    }
    await reload();
  };
  const close = () => ask(null);
  return (
    <>
      <Table
        caption="Endpoints"
        rows={list}
        idOf={({ id }) => id}
        columns={[
          {
            label: "Address",
            cell: (one) => (
              <span class="stack-4 address">
                <span class="mono">{one.url}</span>
                {one.description && <span class="small muted">{one.description}</span>}
              </span>
            ),
          },
          { label: "Status", tight: true, cell: (one) => <EndpointStatus of={one} /> },
          {
            label: "Receives",
            cell: ({ types, environments }) => (
              <span class="stack-4">
                <span>{types ? <code>{inWords(types)}</code> : "all events"}</span>
                {environments && <span class="small muted">{inWords(environments)} only</span>}
              </span>
            ),
          },
          {
            label: "Signed",
            tight: true,
            cell: ({ signatures, previous_secret_until: until }) => (
              <span class="stack-4">
                <span>Ed25519</span>
                {signatures.includes("v1") && <span class="small muted">and a shared secret</span>}
                {until && (
                  <span class="small muted">
                    old secret until <Time at={until} />
                  </span>
                )}
              </span>
            ),
          },
          { label: "Last delivery", tight: true, cell: (one) => <Time at={one.last_delivery_at} /> },
          { label: "", tight: true, cell: (one) => <ActionsMenu of={one} ask={ask} act={act} /> },
        ]}
      />
      {asked?.what === "change" && (
        <EndpointDialog
          of={asked.of}
          onClose={close}
          onDone={() => {
            close();
            say("Changed the endpoint.");
            reload();
          }}
        />
      )}
      {asked?.what === "replay" && (
        <ReplayDialog
          of={asked.of}
          onClose={close}
          onDone={(events) => {
            close();
            say(events === 0 ? "There was no event in that time." : `Sending ${count(events, "event")} again.`);
          }}
        />
      )}
      {asked?.what === "secret" && (
        <StoreSecret
          secret={asked.secret}
          until="For 24 hours the old secret signs too, so that the receiver can change over at any time."
          onStored={() => {
            close();
            reload();
          }}
        />
      )}
    </>
  );
}

import { useEffect, useState } from "preact/hooks";
import type { AuditEntry } from "../../api/types.ts";
import { Page } from "../../app/page.tsx";
import { href, setParams, usePlace } from "../../app/router.ts";
import { useNames } from "../../app/shared.ts";
import { download } from "../../logic/download.ts";
import { isId } from "../../logic/key-text.ts";
import { clock } from "../../logic/time.ts";
import { actionWords, capital, count, number } from "../../logic/words.ts";
import { Button } from "../../parts/button.tsx";
import { Empty } from "../../parts/empty.tsx";
import { Notice } from "../../parts/notice.tsx";
import { Pager } from "../../parts/pager.tsx";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { Skeleton } from "../../parts/skeleton.tsx";
import { Snippet } from "../../parts/snippet.tsx";
import { Table } from "../../parts/table.tsx";
import { Time } from "../../parts/time.tsx";
import { Verified } from "../../parts/verified.tsx";
import { Changes } from "./changes.tsx";
import { EMPTY, trustKeys, type Verification, verify } from "./verify.ts";

const PAGE = 50;

function badgeText(result: Verification, progress: number): string {
  if (result.state === "checking") return progress > 0 ? `Checking: ${number(progress)} entries` : "Checking";
  if (result.state === "wrong") return "Not verified";
  if (result.state === "incomplete")
    return result.problem ? "Not checked" : `Chain checked: ${count(result.checked, "entry", "entries")}`;
  return `Verified: ${count(result.checked, "entry", "entries")}, signed head of ${clock(result.at)} UTC`;
}

function Findings({ result, again }: { result: Verification; again: () => void }) {
  const { pinned } = result;
  return (
    <div class="stack">
      <ProblemBox problem={result.problem} retry={again} />
      {result.faults.length > 0 && (
        <Notice tone="danger" alert>
          <strong class="strong">This log is not what it claims to be</strong>
          {result.faults.map((fault) => (
            <span key={fault}>{fault}</span>
          ))}
          <span>Export it now, keep your copy, and ask who has access to the database and to KEYWARD_SECRET.</span>
        </Notice>
      )}
      {result.newKeys.length > 0 && (
        <Notice tone="warning" alert>
          <strong class="strong">The log has a signing key that this browser has not seen before</strong>
          <span>
            That is right after KEYWARD_SECRET was rotated, and an alarm at any other time. Compare it with what the
            operator announced:
          </span>
          {result.newKeys.map((line) => (
            <code key={line}>{line}</code>
          ))}
          <span>
            <Button
              small
              onClick={() => {
                trustKeys(result);
                again();
              }}
            >
              I have compared it: trust this key
            </Button>
          </span>
        </Notice>
      )}
      {result.signature === "unsupported" && (
        <Notice tone="warning">
          <span>
            This browser cannot check Ed25519 signatures. The chain was checked; the signed head was not. Use a current
            browser, or the command below.
          </span>
        </Notice>
      )}
      {result.state === "verified" && (
        <p class="small muted">
          {pinned?.checkpoint ? (
            <>
              It continues the head of {count(pinned.checkpoint.size, "entry", "entries")} that this browser saw{" "}
              <Time at={pinned.checkpoint.at} />, and is signed by the key pinned here.
            </>
          ) : (
            "First visit: this browser now keeps the signing key and the head, and warns when the log does not continue them."
          )}
        </p>
      )}
    </div>
  );
}

/** The screen of what an entry is about, if there is one. */
function placeOf(id: string): string | null {
  if (isId(id)) return id.includes("_admin_") ? null : href("/key", { id });
  if (/^inc_[1-9][0-9]*$/.test(id)) return href("/incident", { id });
  return id.startsWith("leak_") ? href("/leaks") : null;
}

function SubjectLink({ id }: { id: string }) {
  const place = placeOf(id);
  return place ? (
    <a class="mono above" href={place}>
      {id}
    </a>
  ) : (
    <span class="mono">{id}</span>
  );
}

function Entries({ all }: { all: AuditEntry[] }) {
  const names = useNames();
  const { query } = usePlace();
  const action = query.get("action") ?? "";
  const actor = query.get("actor") ?? "";
  const subject = query.get("subject") ?? "";
  const page = Number(query.get("page") ?? 1);
  const fitting = all
    .filter(
      (entry) =>
        (!action || entry.action === action) &&
        (!actor || entry.actor === actor) &&
        (!subject || entry.subject.includes(subject)),
    )
    .reverse();
  const rows = fitting.slice((page - 1) * PAGE, page * PAGE);
  const actions = [...new Set(all.map((entry) => entry.action))].sort();
  const actors = [...new Set(all.map((entry) => entry.actor))];
  const filter = (name: string, value: string) => setParams({ [name]: value || null, page: null });
  return (
    <>
      {/* biome-ignore lint/a11y/useSemanticElements: a fieldset would need a visible legend */}
      <div class="filters" role="group" aria-label="Filters">
        <select aria-label="Action" value={action} onChange={(event) => filter("action", event.currentTarget.value)}>
          <option value="">Action: any</option>
          {actions.map((one) => (
            <option key={one} value={one}>
              {actionWords(one)}
            </option>
          ))}
        </select>
        <select aria-label="By whom" value={actor} onChange={(event) => filter("actor", event.currentTarget.value)}>
          <option value="">By: anyone</option>
          {actors.map((one) => (
            <option key={one} value={one}>
              {names(one)}
            </option>
          ))}
        </select>
        <input
          type="text"
          aria-label="Id of a key, a member or an incident"
          placeholder="Id of key, member, incident"
          value={subject}
          size={26}
          onInput={(event) => filter("subject", event.currentTarget.value.trim())}
        />
      </div>
      {rows.length === 0 ? (
        <div class="panel">
          <Empty>{all.length === 0 ? "The log is empty." : "No entry fits these filters."}</Empty>
        </div>
      ) : (
        <Table
          caption="Audit entries"
          rows={rows}
          idOf={({ seq }) => seq}
          columns={[
            {
              label: "No.",
              tight: true,
              right: true,
              cell: ({ seq }) => <span class="number muted">{number(seq)}</span>,
            },
            { label: "When", tight: true, cell: ({ at }) => <Time at={at} /> },
            { label: "By", tight: true, cell: (entry) => capital(names(entry.actor)) },
            {
              label: "What",
              cell: (entry) => (
                <span class="stack-4">
                  <span>{actionWords(entry.action)}</span>
                  <Changes entry={entry} />
                </span>
              ),
            },
            { label: "About", tight: true, cell: ({ subject: id }) => <SubjectLink id={id} /> },
            {
              label: "From",
              tight: true,
              cell: (entry) => <span class="mono small">{entry.detail.client_address ?? "–"}</span>,
            },
          ]}
        />
      )}
      {fitting.length > PAGE && (
        <Pager
          shown={`Entries ${number((page - 1) * PAGE + 1)} to ${number((page - 1) * PAGE + rows.length)} of ${number(fitting.length)}`}
          onPrevious={page > 1 ? () => setParams({ page: page > 2 ? String(page - 1) : null }) : null}
          onNext={page * PAGE < fitting.length ? () => setParams({ page: String(page + 1) }) : null}
        />
      )}
    </>
  );
}

const COMMAND = "keyward audit verify . --key @audit.vkey --checkpoint checkpoint.txt";

function Export({ result }: { result: Verification }) {
  const log = () =>
    download(
      "audit.ndjson",
      result.entries.map((entry) => `${JSON.stringify(entry)}\n`).join(""),
      "application/x-ndjson",
    );
  return (
    <section class="stack-8">
      <h2>Check it yourself, offline</h2>
      <p class="prose muted">
        Save the three files into one folder. Keep every signed head: a log that is rewritten later does not continue
        it.
      </p>
      <div class="row">
        <Button small icon="download" onClick={log}>
          Log
        </Button>
        <Button small icon="download" onClick={() => download("checkpoint.txt", result.checkpoint?.text ?? "")}>
          Signed head
        </Button>
        <Button small icon="download" onClick={() => download("audit.vkey", result.vkeys)}>
          Verifying key
        </Button>
      </div>
      <Snippet text={COMMAND} what="command" />
    </section>
  );
}

export function Audit() {
  const [result, setResult] = useState<Verification>(EMPTY);
  const [progress, setProgress] = useState(0);
  const run = () => {
    setResult(EMPTY);
    setProgress(0);
    verify(setProgress).then(setResult);
  };
  useEffect(run, []);
  return (
    <Page
      title="Audit"
      beside={
        <span role="status">
          <Verified result={result.state}>{badgeText(result, progress)}</Verified>
        </span>
      }
      intro="Every change, who made it and when. This browser checks the chain of entries and the signature of its head; it does not take the server's word for it."
      actions={
        <Button icon="rotate" onClick={run} disabled={result.state === "checking"}>
          Check again
        </Button>
      }
    >
      <div class="stack-24">
        <Findings result={result} again={run} />
        {result.state === "checking" ? (
          <Skeleton rows={8} />
        ) : (
          <div>
            <Entries all={result.entries} />
          </div>
        )}
        {result.checkpoint && <Export result={result} />}
      </div>
    </Page>
  );
}

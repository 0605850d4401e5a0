import { useState } from "preact/hooks";
import { call } from "../../api/client.ts";
import { asProblem, type Problem } from "../../api/problem.ts";
import type { Exposure, Key, KeyChanged } from "../../api/types.ts";
import { useConsole } from "../../app/context.ts";
import { useResource } from "../../logic/resource.ts";
import { Button } from "../../parts/button.tsx";
import { Dialog } from "../../parts/dialog.tsx";
import { errorOf, problemElsewhere, TextArea } from "../../parts/field.tsx";
import { Notice } from "../../parts/notice.tsx";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { Time } from "../../parts/time.tsx";
import { keepReceipt } from "./receipts.ts";

const KINDS: Record<string, string> = {
  url: "in a URL, which logs and browser histories keep",
  browser: "from a browser page, whose visitors can read it",
  http: "over plain HTTP, which anyone on the way can read",
};

type Decision = { verb: string; title: string; path: string; text: string };

const DECISIONS: Record<"release" | "dismiss", Decision> = {
  release: {
    verb: "Release key",
    title: "Release from quarantine",
    path: "release",
    text: "The key works again within the revocation bound. Do this only if you know why it was exposed, and that nobody else has it.",
  },
  dismiss: {
    verb: "Dismiss exposure",
    title: "Dismiss the exposure",
    path: "dismiss-exposure",
    text: "The key is no longer marked as exposed. The record stays in the audit log, and a new exposure marks it again.",
  },
};

function DecisionDialog({
  of,
  decision,
  onClose,
  onDone,
}: {
  of: Key;
  decision: Decision;
  onClose: () => void;
  onDone: () => void;
}) {
  const [reason, setReason] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async () => {
    setBusy(true);
    setProblem(null);
    try {
      const answer = await call<Partial<KeyChanged>>(`/keys/${of.id}/${decision.path}`, {
        body: { reason: reason.trim() },
      });
      if (decision.path === "release" && answer.effective_by && answer.guaranteed_by) {
        keepReceipt(
          of.id,
          { effective_by: answer.effective_by, guaranteed_by: answer.guaranteed_by },
          "the key works everywhere",
          null,
        );
      }
      onDone();
    } catch (error) {
      setProblem(asProblem(error));
      setBusy(false);
    }
  };
  return (
    <Dialog
      title={decision.title}
      onClose={onClose}
      onSubmit={submit}
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" busy={busy} disabled={!reason.trim()}>
            {decision.verb}
          </Button>
        </>
      }
    >
      <p>{decision.text}</p>
      <ProblemBox problem={problemElsewhere(problem, ["reason"])} />
      <TextArea
        label="Reason"
        rows={2}
        value={reason}
        onValue={setReason}
        error={errorOf(problem, "reason")}
        maxLength={500}
        required
        autofocus
      />
    </Dialog>
  );
}

/** How the key was exposed, and what a person decides about it. */
export function Exposed({ of, onChanged }: { of: Key; onChanged: () => void }) {
  const { rights, capabilities } = useConsole();
  const [asked, ask] = useState<keyof typeof DECISIONS | null>(null);
  const exposures = useResource(
    `${of.id} ${of.revision}`,
    async () => (await call<{ items: Exposure[] }>(`/keys/${of.id}/exposures`)).items,
  );
  const latest = exposures.data?.[0];
  const isQuarantined = of.status === "quarantined";
  return (
    <Notice tone="danger">
      <strong class="strong">{isQuarantined ? "Quarantined after an exposure" : "This key was exposed"}</strong>
      <span>
        {latest ? (
          <>
            It was sent {KINDS[latest.kind] ?? latest.kind}, <Time at={latest.at} />
            {latest.network && ` from ${latest.network}`}. The request was refused.
          </>
        ) : (
          <>
            First exposed <Time at={of.exposed_at} />.
          </>
        )}{" "}
        {isQuarantined
          ? "It is refused everywhere. Release it within 72 hours of the exposure, or it is revoked."
          : "Treat it as leaked: rotate it, or open an incident."}
      </span>
      <ProblemBox problem={exposures.problem} />
      {rights.release && (
        <span class="row">
          {isQuarantined && (
            <Button small onClick={() => ask("release")}>
              Release from quarantine
            </Button>
          )}
          {of.exposed_at && capabilities.has("POST", "/keys/{id}/dismiss-exposure") && (
            <Button small onClick={() => ask("dismiss")}>
              Dismiss the exposure
            </Button>
          )}
        </span>
      )}
      {asked && (
        <DecisionDialog
          of={of}
          decision={DECISIONS[asked]}
          onClose={() => ask(null)}
          onDone={() => {
            ask(null);
            onChanged();
          }}
        />
      )}
    </Notice>
  );
}

import { useState } from "preact/hooks";
import { call } from "../../api/client.ts";
import { asProblem, type Problem } from "../../api/problem.ts";
import type { Key, KeyChanged } from "../../api/types.ts";
import { useConsole } from "../../app/context.ts";
import { soon } from "../../app/notices.ts";
import { href } from "../../app/router.ts";
import { useResource } from "../../logic/resource.ts";
import { Button } from "../../parts/button.tsx";
import { StatusChip } from "../../parts/chip.tsx";
import { Dialog } from "../../parts/dialog.tsx";
import { Empty } from "../../parts/empty.tsx";
import { KeyId } from "../../parts/key-id.tsx";
import { Notice } from "../../parts/notice.tsx";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { Skeleton } from "../../parts/skeleton.tsx";
import { DateOf, Time } from "../../parts/time.tsx";
import { CutOver } from "./cut-over.tsx";
import { keepReceipt } from "./receipts.ts";
import { OVERLAPS, OverlapField } from "./rotate-dialog.tsx";

function Card({ of, name, current }: { of: Key; name: string; current: boolean }) {
  return (
    <div class="panel panel-body stack-8">
      <div class="row spread">
        <h2>{name}</h2>
        <StatusChip status={of.status} />
      </div>
      {current ? (
        <KeyId id={of.id} />
      ) : (
        <a href={href("/key", { id: of.id, tab: "rotation" })} class="mono">
          {of.id}
        </a>
      )}
      <dl class="facts small">
        <dt>Last used</dt>
        <dd>
          <Time at={of.last_used_at} />
        </dd>
        <dt>Ends</dt>
        <dd>
          <DateOf at={of.expires_at} /> (<Time at={of.expires_at} />)
        </dd>
      </dl>
    </div>
  );
}

function ExtendDialog({ of, onClose, onDone }: { of: Key; onClose: () => void; onDone: () => void }) {
  const [seconds, setSeconds] = useState(86_400);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async () => {
    setBusy(true);
    setProblem(null);
    try {
      await call<KeyChanged>(`/keys/${of.id}/extend-rotation`, { body: { overlap_seconds: seconds } });
      onDone();
    } catch (error) {
      setProblem(asProblem(error));
      setBusy(false);
    }
  };
  return (
    <Dialog
      title="Extend the overlap"
      onClose={onClose}
      onSubmit={submit}
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" busy={busy}>
            Extend overlap
          </Button>
        </>
      }
    >
      <p>Counted from now, and never past the end that the old key had before its rotation.</p>
      <ProblemBox problem={problem} />
      <OverlapField
        of={of}
        seconds={seconds}
        onSeconds={setSeconds}
        choices={OVERLAPS.filter(([value]) => value > 0)}
      />
    </Dialog>
  );
}

/** Finish or extend: what a rotation under way needs from a person. */
function Decide({ old, next, onChanged }: { old: Key; next: Key; onChanged: () => void }) {
  const { rights } = useConsole();
  const [extending, setExtending] = useState(false);
  const switched = next.last_used_at !== null && (old.last_used_at === null || old.last_used_at < next.last_used_at);
  const finish = () =>
    soon(`The old key of ${old.name} ends`, async () => {
      const answer = await call<KeyChanged>(`/keys/${old.id}/finish-rotation`, { method: "POST", body: {} });
      keepReceipt(old.id, answer, "the old key is off everywhere", answer.key.expires_at);
      onChanged();
    });
  return (
    <Notice tone={switched ? "ok" : "warning"}>
      <span>
        Old key: last used <Time at={old.last_used_at} />. New key: last used <Time at={next.last_used_at} />.{" "}
        {switched
          ? "The integration has switched."
          : "Before the old key ends, the integration must switch to the new one."}
      </span>
      {rights.issue && (
        <span class="row">
          <Button small onClick={finish}>
            End the old key now
          </Button>
          <Button small onClick={() => setExtending(true)}>
            Extend the overlap
          </Button>
        </span>
      )}
      {extending && (
        <ExtendDialog
          of={old}
          onClose={() => setExtending(false)}
          onDone={() => {
            setExtending(false);
            onChanged();
          }}
        />
      )}
    </Notice>
  );
}

/** The key before and the key after, and what remains to be done. */
export function RotationTab({ of, onChanged }: { of: Key; onChanged: () => void }) {
  const otherId = of.successor ?? of.rotated_from;
  const other = useResource<Key>(
    otherId ? `${otherId} ${of.revision}` : null,
    () => call<Key>(`/keys/${otherId}`),
    true,
  );
  if (!otherId)
    return (
      <Empty>
        This key has not been rotated. A rotation makes a successor with the same rights, and both work until the
        overlap ends.
      </Empty>
    );
  if (other.problem) return <ProblemBox problem={other.problem} retry={other.reload} />;
  if (!other.data) return <Skeleton rows={3} />;
  const [old, next] = of.successor ? [of, other.data] : [other.data, of];
  const reload = () => {
    onChanged();
    other.reload();
  };
  return (
    <div class="stack">
      {old.status === "retiring" && <Decide old={old} next={next} onChanged={reload} />}
      <div class="form-grid">
        <Card of={old} name="Old key" current={old === of} />
        <Card of={next} name="New key" current={next === of} />
      </div>
      <CutOver old={old} next={next} />
      {of.successor && of.rotated_from && (
        <p class="small muted">
          This key itself followed{" "}
          <a href={href("/key", { id: of.rotated_from, tab: "rotation" })}>{of.rotated_from}</a>.
        </p>
      )}
    </div>
  );
}

import { useState } from "preact/hooks";
import { call, serverNow } from "../../api/client.ts";
import { asProblem, type Problem } from "../../api/problem.ts";
import type { Endpoint } from "../../api/types.ts";
import { useNow } from "../../logic/now.ts";
import { HOUR_MS, momentWithLocal } from "../../logic/time.ts";
import { Button } from "../../parts/button.tsx";
import { Choices } from "../../parts/choices.tsx";
import { Dialog } from "../../parts/dialog.tsx";
import { ProblemBox } from "../../parts/problem-box.tsx";

const RANGES: [hours: string, text: string][] = [
  ["1", "1 hour"],
  ["24", "24 hours"],
  ["168", "7 days"],
  ["720", "30 days"],
];

/** Sends the events of the last hours to an endpoint again, such as after an outage of the receiver. */
export function ReplayDialog({
  of,
  onClose,
  onDone,
}: {
  of: Endpoint;
  onClose: () => void;
  onDone: (count: number) => void;
}) {
  const [hours, setHours] = useState("24");
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const now = useNow(10_000);
  const submit = async () => {
    setBusy(true);
    setProblem(null);
    const to = serverNow();
    const body = { from: new Date(to - Number(hours) * HOUR_MS).toISOString(), to: new Date(to).toISOString() };
    try {
      onDone((await call<{ count: number }>(`/endpoints/${of.id}/replay`, { body })).count);
    } catch (error) {
      setProblem(asProblem(error));
      setBusy(false);
    }
  };
  return (
    <Dialog
      title="Send past events again"
      onClose={onClose}
      onSubmit={submit}
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" busy={busy}>
            Send them again
          </Button>
        </>
      }
    >
      <p>
        All events that <span class="mono">{of.url}</span> subscribes to, at most 10,000. Each keeps its{" "}
        <code>webhook-id</code>, so a receiver that deduplicates sees only what it missed.
      </p>
      <ProblemBox problem={problem} />
      <Choices
        legend="Events of the last"
        choices={RANGES.map(([value, label]) => ({ value, label }))}
        value={hours}
        onValue={setHours}
        hint={`From ${momentWithLocal(now - Number(hours) * HOUR_MS)} until now.`}
      />
    </Dialog>
  );
}

import { useEffect, useState } from "preact/hooks";
import { call } from "../../api/client.ts";
import { asProblem, type Problem } from "../../api/problem.ts";
import type { Incident } from "../../api/types.ts";
import { href } from "../../app/router.ts";
import { count } from "../../logic/words.ts";
import { Button } from "../../parts/button.tsx";
import { Dialog } from "../../parts/dialog.tsx";
import { errorOf, problemElsewhere, TextArea, TextField } from "../../parts/field.tsx";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { confirms, TypeToConfirm } from "../../parts/type-to-confirm.tsx";
import { keepClaims } from "./claims.ts";
import { type Kind, KindField, ReplaceField } from "./fields.tsx";

interface Preview {
  keys: number | unknown[];
  integrations: number | unknown[];
  owners: number | unknown[];
  confirm: string;
}

const amount = (value: number | unknown[]) => (Array.isArray(value) ? value.length : value);
/** Above this number the API asks for the credential again. */
const CREDENTIAL_ABOVE = 20;
/** Characters of a note. */
const MOST_NOTE = 500;

const ALREADY_REVOKED =
  "The report has revoked the keys already. The incident keeps what remains to be done: update the systems that used the keys, and review what the keys did. A replacement is issued on the page of each key.";

const whatItRevokes = (preview: Preview | null) =>
  preview
    ? `This revokes ${count(amount(preview.keys), "key")} of ${count(amount(preview.integrations), "integration")} and ${count(amount(preview.owners), "owner")}, all at once or none.`
    : "Counting what this would revoke…";

interface Props {
  keys: { id: string }[];
  /** What is known already. */
  kind?: Kind;
  note?: string;
  /** The keys are revoked already, such as by a report of a leak: the incident is for what remains to be done. */
  areRevoked?: boolean;
  onClose: () => void;
  onDone: (address: string) => void;
}

/** Revokes several keys in one transaction, and opens the incident that keeps what remains to be done. */
export function OpenIncident({
  keys,
  kind: known = "suspected",
  note: noted = "",
  areRevoked = false,
  onClose,
  onDone,
}: Props) {
  const [kind, setKind] = useState<Kind>(known);
  const [note, setNote] = useState(() => Array.from(noted).slice(0, MOST_NOTE).join(""));
  const [replace, setReplace] = useState<"claim" | "none">("claim");
  const [typed, setTyped] = useState("");
  const [credential, setCredential] = useState("");
  const [preview, setPreview] = useState<Preview | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const key_ids = keys.map(({ id }) => id);
  const ids = key_ids.join(" ");
  useEffect(() => {
    const body = { key_ids: ids.split(" "), kind: "other", note: "Preview", replace: "none", dry_run: true };
    call<Preview>("/incidents", { body }).then(setPreview, (error) => setProblem(asProblem(error)));
  }, [ids]);
  const affected = preview ? amount(preview.keys) : keys.length;
  const text = preview?.confirm ?? `${keys.length} keys`;
  const needsCredential = affected > CREDENTIAL_ABOVE;
  const ready =
    Boolean(note.trim()) && (areRevoked || confirms(typed, text)) && (!needsCredential || credential.trim() !== "");
  const submit = async () => {
    if (!ready) return;
    setBusy(true);
    setProblem(null);
    try {
      // A key that was revoked before gets no replacement by claim.
      const wanted = areRevoked ? "none" : replace;
      const body = { key_ids, kind, note: note.trim(), replace: wanted, ...(needsCredential && { confirm: text }) };
      const { incident } = await call<{ incident: Incident }>("/incidents", {
        body,
        confirm: needsCredential ? credential.trim() : undefined,
      });
      keepClaims(incident);
      onDone(href("/incident", { id: incident.id }));
    } catch (error) {
      setProblem(asProblem(error));
      setBusy(false);
    }
  };
  return (
    <Dialog
      title={areRevoked ? "Open an incident" : `Revoke ${count(keys.length, "key")} and open an incident`}
      onClose={onClose}
      onSubmit={submit}
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind={areRevoked ? "primary" : "danger-fill"} type="submit" busy={busy} disabled={!ready}>
            {areRevoked ? "Open incident" : "Revoke and open incident"}
          </Button>
        </>
      }
    >
      <p>{areRevoked ? ALREADY_REVOKED : `${whatItRevokes(preview)} Revoking is final.`}</p>
      <ProblemBox problem={problemElsewhere(problem, ["note"])} />
      <KindField kind={kind} onKind={setKind} />
      <TextArea
        label="What happened"
        rows={2}
        value={note}
        onValue={setNote}
        error={errorOf(problem, "note")}
        maxLength={MOST_NOTE}
        required
      />
      {!areRevoked && <ReplaceField replace={replace} onReplace={setReplace} />}
      {needsCredential && (
        <TextField
          label="Your credential"
          hint="More than 20 keys need it again."
          type="password"
          autocomplete="current-password"
          value={credential}
          onValue={setCredential}
          required
        />
      )}
      {!areRevoked && <TypeToConfirm text={text} value={typed} onValue={setTyped} />}
    </Dialog>
  );
}

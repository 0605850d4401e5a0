import { Dialog } from "../../parts/dialog.tsx";
import { SecretOnce } from "../../parts/secret-once.tsx";

/** Shows the shared secret of an endpoint, once. */
export function StoreSecret({
  secret,
  onStored,
  until,
}: {
  secret: string;
  onStored: () => void;
  /** What is said of the secret before. */
  until?: string;
}) {
  return (
    <Dialog title="Store the signing secret">
      <p>
        The receiver checks the signature <code>v1</code> of each event with this secret. {until}
      </p>
      <SecretOnce secret={secret} what="signing secret" fileName="keyward-events-secret.txt" onStored={onStored} />
    </Dialog>
  );
}

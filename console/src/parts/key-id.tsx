import { CopyButton } from "./copy-button.tsx";

/** A key's or member's public id, with a button that copies it. */
export function KeyId({ id, what = "key id" }: { id: string; what?: string }) {
  return (
    <span class="key-id above">
      <span>{id}</span>
      <CopyButton text={id} what={what} small />
    </span>
  );
}

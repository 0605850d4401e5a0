import { TextField } from "../../parts/field.tsx";

/** The signed-in member's own credential, which the API wants again for what would outlast a stolen session. */
export function CredentialAgain({
  value,
  onValue,
  error,
}: {
  value: string;
  onValue: (value: string) => void;
  error?: string | null;
}) {
  return (
    <TextField
      label="Your credential"
      hint="Asked again, so that nobody at an unattended screen can make themselves a credential."
      type="password"
      autocomplete="current-password"
      value={value}
      onValue={onValue}
      error={error}
      required
    />
  );
}

import { TextField } from "./field.tsx";

/** Whether what was typed is the text that confirms. White space at the ends and letter case do not matter. */
export const confirms = (typed: string, text: string) => typed.trim().toLowerCase() === text.toLowerCase();

/** A field in which the person types a text to confirm what cannot be undone. */
export function TypeToConfirm({
  text,
  value,
  onValue,
}: {
  text: string;
  value: string;
  onValue: (value: string) => void;
}) {
  return (
    <TextField
      label={`Type ${text} to confirm`}
      value={value}
      onValue={onValue}
      autocomplete="off"
      autocapitalize="off"
      spellcheck={false}
    />
  );
}

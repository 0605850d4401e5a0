import type { ComponentChildren, PartialInputHTMLAttributes, TextareaHTMLAttributes } from "preact";
import { useId } from "preact/hooks";
import type { Problem } from "../api/problem.ts";
import { WithCode } from "./with-code.tsx";

interface FieldProps {
  label: string;
  hint?: ComponentChildren;
  error?: string | null;
  optional?: boolean;
}

interface Aria {
  id: string;
  "aria-describedby"?: string;
  "aria-invalid"?: "true";
}

/** Label above, hint below, and beneath it the error in the API's words. */
export function Field({
  label,
  hint,
  error,
  optional,
  children,
}: FieldProps & { children: (aria: Aria) => ComponentChildren }) {
  const id = useId();
  const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ");
  return (
    <div class="field">
      <label for={id}>
        {label}
        {optional && <span class="optional"> (optional)</span>}
      </label>
      {children({ id, "aria-describedby": described || undefined, "aria-invalid": error ? "true" : undefined })}
      {hint && (
        <span class="hint" id={`${id}-hint`}>
          {hint}
        </span>
      )}
      {error && (
        <span class="error" id={`${id}-error`}>
          <WithCode text={error} />
        </span>
      )}
    </div>
  );
}

type InputProps = FieldProps &
  Pick<
    PartialInputHTMLAttributes<HTMLInputElement>,
    | "name"
    | "autocomplete"
    | "autocapitalize"
    | "spellcheck"
    | "maxLength"
    | "min"
    | "max"
    | "required"
    | "autofocus"
    | "placeholder"
  > & { type?: "text" | "email" | "password" | "url" | "date"; value: string; onValue: (value: string) => void };

/** A line of text. Its type is one of those that take the same attributes, so the union of all input types need not be told apart. */
export function TextField({ label, hint, error, optional, value, onValue, type = "text", ...rest }: InputProps) {
  return (
    <Field label={label} hint={hint} error={error} optional={optional}>
      {(aria) => (
        <input
          {...rest}
          type={type as "text"}
          {...aria}
          value={value}
          onInput={(event) => onValue(event.currentTarget.value)}
        />
      )}
    </Field>
  );
}

type AreaProps = Omit<TextareaHTMLAttributes<HTMLTextAreaElement>, "onInput" | "value" | "label"> &
  FieldProps & { value: string; onValue: (value: string) => void };

export function TextArea({ label, hint, error, optional, value, onValue, ...rest }: AreaProps) {
  return (
    <Field label={label} hint={hint} error={error} optional={optional}>
      {(aria) => (
        <textarea rows={3} {...rest} {...aria} value={value} onInput={(event) => onValue(event.currentTarget.value)} />
      )}
    </Field>
  );
}

/** The problem's text if it is about this field, such as `scopes` for `scopes[0]`. */
export function errorOf(problem: Problem | null, field: string): string | null {
  const name = problem?.field;
  if (!name) return null;
  return name === field || name.startsWith(`${field}[`) || name.startsWith(`${field}.`)
    ? (problem?.message ?? null)
    : null;
}

/** The problem if no field of the form shows it. */
export function problemElsewhere(problem: Problem | null, fields: string[]): Problem | null {
  return fields.some((field) => errorOf(problem, field)) ? null : problem;
}

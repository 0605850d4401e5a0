import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

export interface Choice<T> {
  value: T;
  label: ComponentChildren;
  hint?: ComponentChildren;
}

interface Props<T> {
  legend: string;
  hint?: ComponentChildren;
  choices: Choice<T>[];
  value: T;
  onValue: (value: T) => void;
}

/** One of a few choices, as radio buttons that look like the options they are. */
export function Choices<T extends string | number>({ legend, hint, choices, value, onValue }: Props<T>) {
  const name = useId();
  const large = choices.some((choice) => choice.hint);
  return (
    <fieldset class="field">
      <legend class="label" style={{ fontWeight: 500 }}>
        {legend}
      </legend>
      <div class="choices">
        {choices.map((choice) => (
          <label key={choice.value} class={large ? "choice large" : "choice"}>
            <input type="radio" name={name} checked={choice.value === value} onChange={() => onValue(choice.value)} />
            <span class="stack-4">
              <span>{choice.label}</span>
              {choice.hint && <span class="hint small muted">{choice.hint}</span>}
            </span>
          </label>
        ))}
      </div>
      {hint && <span class="hint">{hint}</span>}
    </fieldset>
  );
}

// Recognises keys and key ids in what a person types or pastes.

const ID = /^[a-z]{2,8}_(?:live|test|admin)_[0-9A-Za-z]{12}$/;
const WHOLE = /[a-z]{2,8}_(?:live|test|admin)_[0-9A-Za-z]{12}_[0-9A-Za-z]{46}/;

export const isId = (text: string) => ID.test(text);

/** The id of a whole key anywhere in a text, or null. The secret part is dropped here. */
export function idOfWholeKey(text: string): string | null {
  const whole = WHOLE.exec(text)?.[0];
  return whole ? whole.slice(0, whole.lastIndexOf("_")) : null;
}

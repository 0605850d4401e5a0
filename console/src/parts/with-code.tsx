/** A text in which what is between backticks is code, as in the API's messages. */
export function WithCode({ text }: { text: string }) {
  const pieces = text.split("`");
  // An odd number of backticks is not markup.
  if (pieces.length % 2 === 0) return <>{text}</>;
  return <>{pieces.map((piece, at) => (at % 2 === 1 ? <code key={`${at} ${piece}`}>{piece}</code> : piece))}</>;
}

/** An e-mail address, which may break after its `@`. */
export function Address({ of }: { of: string }) {
  const at = of.indexOf("@") + 1;
  return (
    <span>
      {of.slice(0, at)}
      <wbr />
      {of.slice(at)}
    </span>
  );
}

// CSV (RFC 4180) of what the API said.

/** Quotes a cell. A leading `=`, `+`, `-` or `@` gets an apostrophe, or a spreadsheet would run it as a formula. */
function cell(value: unknown): string {
  const text = value === null || value === undefined ? "" : Array.isArray(value) ? value.join(" ") : String(value);
  const inert = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(inert) ? `"${inert.replaceAll('"', '""')}"` : inert;
}

export function csv(columns: string[], rows: Record<string, unknown>[]): string {
  const lines = rows.map((row) => columns.map((name) => cell(row[name])).join(","));
  return `${[columns.join(","), ...lines].join("\r\n")}\r\n`;
}

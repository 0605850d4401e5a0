// An error of the API (RFC 9457), or of the way to it.

export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly field: string | null;
  readonly requestId: string | null;
  /** Path of the page that explains the code, or null if the API did not answer. */
  readonly page: string | null;
  readonly retryAfterSeconds: number | null;

  constructor(parts: {
    status: number;
    code: string;
    title: string;
    detail: string;
    field?: string | null;
    requestId?: string | null;
    page?: string | null;
    retryAfterSeconds?: number | null;
  }) {
    super(parts.detail);
    this.status = parts.status;
    this.code = parts.code;
    this.title = parts.title;
    this.field = parts.field ?? null;
    this.requestId = parts.requestId ?? null;
    this.page = parts.page ?? null;
    this.retryAfterSeconds = parts.retryAfterSeconds ?? null;
  }
}

export function unreachable(): Problem {
  return new Problem({
    status: 0,
    code: "unreachable",
    title: "No answer",
    detail:
      "Keyward did not answer. Check your connection, then try again. Nothing shows whether a change was made: look before you repeat it.",
  });
}

/** Reads the problem that a response carries. A response without one, such as a proxy's page, becomes a problem that says so. */
export async function problemOf(response: Response): Promise<Problem> {
  const requestId = response.headers.get("keyward-request-id");
  const retryAfter = Number(response.headers.get("retry-after") ?? Number.NaN);
  const body = (await response.json().catch(() => null)) as Record<string, unknown> | null;
  const text = (name: string) => (typeof body?.[name] === "string" ? (body[name] as string) : null);
  return new Problem({
    status: response.status,
    code: text("code") ?? "unexpected_answer",
    title: text("title") ?? "Unexpected answer",
    detail:
      text("detail") ?? `The answer has status ${response.status} and is not Keyward's. A proxy may have made it.`,
    field: text("field"),
    requestId: text("request_id") ?? requestId,
    page: explained(text("type")),
    retryAfterSeconds: Number.isFinite(retryAfter) ? retryAfter : null,
  });
}

/** The address of a page of this deployment. Whatever made the answer, no other address becomes a link. */
const explained = (type: string | null) => (type?.startsWith("/_keyward/problems/") ? type : null);

export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  return new Problem({
    status: 0,
    code: "console_error",
    title: "The console failed",
    detail: error instanceof Error ? error.message : String(error),
  });
}

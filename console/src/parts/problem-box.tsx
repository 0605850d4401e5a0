import type { Problem } from "../api/problem.ts";
import { Button } from "./button.tsx";
import { CopyButton } from "./copy-button.tsx";
import { Notice } from "./notice.tsx";
import { WithCode } from "./with-code.tsx";

/** An error in the API's own words, with its request id and the page that explains it. */
export function ProblemBox({ problem, retry }: { problem: Problem | null; retry?: () => unknown }) {
  if (!problem) return null;
  return (
    <Notice tone="danger" alert>
      <strong class="strong">{problem.title}</strong>
      <span>
        <WithCode text={problem.message} />
      </span>
      {problem.retryAfterSeconds !== null && <span>Try again in {problem.retryAfterSeconds} s.</span>}
      <span class="row small muted">
        {problem.requestId && (
          <span class="row">
            Request <code>{problem.requestId}</code>
            <CopyButton text={problem.requestId} what="request id" small />
          </span>
        )}
        {problem.page && (
          <a href={problem.page} target="_blank" rel="noreferrer">
            What <code>{problem.code}</code> means
          </a>
        )}
        {retry && (
          <Button small onClick={retry}>
            Try again
          </Button>
        )}
      </span>
    </Notice>
  );
}

import { useConsole } from "../../app/context.ts";
import { Page } from "../../app/page.tsx";
import { href } from "../../app/router.ts";
import { Icon } from "../../parts/icon.tsx";
import { Ending } from "./ending.tsx";
import { HealthLine } from "./health-line.tsx";
import { PosturePanel } from "./posture.tsx";
import { Traffic } from "./traffic.tsx";
import { Waiting } from "./waiting.tsx";

/** What a member looks at first: what waits, how keys are kept, what the traffic does. */
export function Overview() {
  const { rights } = useConsole();
  return (
    <Page
      title="Overview"
      actions={
        rights.issue && (
          <a class="button primary" href={href("/issue")}>
            <Icon name="plus" />
            Issue key
          </a>
        )
      }
    >
      <div class="stack-24">
        <Waiting />
        {rights.usageOverall && <Traffic />}
        {rights.posture && <PosturePanel />}
        <Ending />
        <HealthLine />
      </div>
    </Page>
  );
}

import { useState } from "preact/hooks";
import { call } from "../../api/client.ts";
import type { Page as ApiPage, Endpoint } from "../../api/types.ts";
import { say } from "../../app/notices.ts";
import { Page } from "../../app/page.tsx";
import { setParams, usePlace } from "../../app/router.ts";
import { useResource } from "../../logic/resource.ts";
import { Button } from "../../parts/button.tsx";
import { Empty } from "../../parts/empty.tsx";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { Skeleton } from "../../parts/skeleton.tsx";
import { Tabs } from "../../parts/tabs.tsx";
import { Deliveries } from "./deliveries.tsx";
import { EndpointDialog } from "./endpoint-dialog.tsx";
import { Endpoints } from "./endpoints.tsx";
import { HowToVerify } from "./how-to-verify.tsx";

export function Events() {
  const { query } = usePlace();
  const tab = query.get("tab") ?? "endpoints";
  const [adding, setAdding] = useState(false);
  const list = useResource<ApiPage<Endpoint>>("endpoints", () => call<ApiPage<Endpoint>>("/endpoints"));
  const endpoints = list.data?.items ?? [];
  return (
    <Page
      title="Events"
      intro="Signed messages to your own systems when a key or member changes. They never hold a secret."
      actions={
        <Button kind="primary" icon="plus" onClick={() => setAdding(true)}>
          Add endpoint
        </Button>
      }
    >
      <Tabs
        label="Events"
        tabs={[
          { id: "endpoints", label: "Endpoints" },
          { id: "deliveries", label: "Deliveries" },
          { id: "verify", label: "How to verify" },
        ]}
        value={tab}
        onValue={(id) => setParams({ tab: id, endpoint: null, status: null, cursor: null }, { replace: true })}
      >
        {tab === "endpoints" && (
          <>
            <ProblemBox problem={list.problem} retry={list.reload} />
            {!list.data && list.loading && <Skeleton rows={3} />}
            {list.data && endpoints.length === 0 && (
              <div class="panel">
                <Empty>No endpoint yet. Add one to hear of issued, exposed and revoked keys at once.</Empty>
              </div>
            )}
            {endpoints.length > 0 && <Endpoints list={endpoints} reload={list.reload} />}
          </>
        )}
        {tab === "deliveries" && <Deliveries endpoints={list.data?.items ?? null} />}
        {tab === "verify" && <HowToVerify />}
      </Tabs>
      {adding && (
        <EndpointDialog
          of={null}
          onClose={() => setAdding(false)}
          onDone={() => {
            setAdding(false);
            say("Added the endpoint. Send it a test to enable it.");
            list.reload();
          }}
        />
      )}
    </Page>
  );
}

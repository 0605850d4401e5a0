import { Page } from "../app/page.tsx";
import { href } from "../app/router.ts";
import { Empty } from "../parts/empty.tsx";

export function NoScreen() {
  return (
    <Page title="No such page">
      <div class="panel">
        <Empty
          action={
            <a class="button" href={href("/keys")}>
              Open keys
            </a>
          }
        >
          There is nothing at this address, or your role does not include it.
        </Empty>
      </div>
    </Page>
  );
}

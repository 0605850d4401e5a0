import { useState } from "preact/hooks";
import { readAll } from "../../api/pages.ts";
import type { Member } from "../../api/types.ts";
import { useConsole } from "../../app/context.ts";
import { Page } from "../../app/page.tsx";
import { forgetMembers } from "../../app/shared.ts";
import { useNow } from "../../logic/now.ts";
import { useResource } from "../../logic/resource.ts";
import { DAY_MS } from "../../logic/time.ts";
import { count, ROLES } from "../../logic/words.ts";
import { Button } from "../../parts/button.tsx";
import { Chip, StatusChip } from "../../parts/chip.tsx";
import { Icon } from "../../parts/icon.tsx";
import { KeyId } from "../../parts/key-id.tsx";
import { Menu } from "../../parts/menu.tsx";
import { Notice } from "../../parts/notice.tsx";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { Skeleton } from "../../parts/skeleton.tsx";
import { Table } from "../../parts/table.tsx";
import { DateOf, Time } from "../../parts/time.tsx";
import { EditDialog } from "./edit-dialog.tsx";
import { InviteDialog } from "./invite-dialog.tsx";
import { RemoveDialog } from "./remove-dialog.tsx";
import { ReplaceDialog } from "./replace-dialog.tsx";

type Asked = { what: "invite" } | { what: "edit" | "replace" | "remove"; of: Member } | null;

const MOST = 1_000;
const SOON_MS = 30 * DAY_MS;

const isLastOwner = (member: Member, all: Member[]) =>
  all
    .filter((one) => one.role === "owner" && one.status === "active" && one.environments === null)
    .every((one) => one.id === member.id);

function Actions({ of, all, own, ask }: { of: Member; all: Member[]; own: boolean; ask: (asked: Asked) => void }) {
  if (of.status === "revoked") return null;
  const last = of.role === "owner" && of.status === "active" && of.environments === null && isLastOwner(of, all);
  return (
    <Menu label={`Actions for ${of.name}`} summary={<Icon name="more" />}>
      <button type="button" onClick={() => ask({ what: "edit", of })}>
        Change
      </button>
      <button type="button" onClick={() => ask({ what: "replace", of })}>
        {own ? "Replace your credential" : "Replace credential"}
      </button>
      {last ? (
        <span class="head small muted">
          The last owner without a limit cannot be removed. Make someone else an owner first.
        </span>
      ) : (
        <button type="button" class="danger" onClick={() => ask({ what: "remove", of })}>
          Remove
        </button>
      )}
    </Menu>
  );
}

export function Members() {
  const { member: self, capabilities } = useConsole();
  const now = useNow(60_000);
  const [asked, ask] = useState<Asked>(null);
  const [past, setPast] = useState(false);
  const list = useResource<Member[]>("members", async () => (await readAll<Member>("/members", {}, MOST)).items);
  const all = list.data ?? [];
  const shown = past ? all : all.filter(({ status }) => status !== "revoked");
  const gone = all.length - all.filter(({ status }) => status !== "revoked").length;
  const owners = all.filter((one) => one.role === "owner" && one.status === "active");
  const close = () => ask(null);
  const done = () => {
    ask(null);
    forgetMembers();
    list.reload();
  };
  return (
    <Page
      title="Members"
      intro="People and machines that may use the control plane. Each has a credential of their own; the audit log names them."
      actions={
        <Button kind="primary" icon="plus" onClick={() => ask({ what: "invite" })}>
          Add member
        </Button>
      }
    >
      <div class="stack">
        <ProblemBox problem={list.problem} retry={list.reload} />
        {!list.data && list.loading && <Skeleton rows={4} height={52} />}
        {owners.length === 1 && list.data && (
          <Notice tone="warning">
            <span>
              There is one owner. If their credential is lost, only the deployment's bootstrap token makes another. Add
              a second owner.
            </span>
          </Notice>
        )}
        {shown.length > 0 && (
          <Table
            caption="Members"
            rows={shown}
            idOf={({ id }) => id}
            columns={[
              {
                label: "Name",
                cell: (one) => (
                  <span class="stack-4">
                    <span>
                      <strong class="strong">{one.name}</strong> {one.id === self.id && <Chip tone="accent">You</Chip>}
                    </span>
                    <span class="small muted">{one.email}</span>
                  </span>
                ),
              },
              {
                label: "Role",
                cell: (one) => (
                  <span class="stack-4">
                    <span>{ROLES[one.role]?.name ?? one.role}</span>
                    <span class="small muted">
                      {one.environments ? `${one.environments.join(" and ")} only` : "all environments"}
                    </span>
                  </span>
                ),
              },
              { label: "Status", tight: true, cell: (one) => <StatusChip status={one.status} /> },
              ...(capabilities.field("Member", "last_seen_at")
                ? [{ label: "Last seen", tight: true, cell: (one: Member) => <Time at={one.last_seen_at} /> }]
                : []),
              {
                label: "Credential ends",
                tight: true,
                cell: (one) =>
                  one.status === "revoked" ? (
                    <span class="muted">–</span>
                  ) : (
                    <span class="stack-4">
                      <DateOf at={one.expires_at} />
                      {Date.parse(one.expires_at) - now < SOON_MS && (
                        <span class="small muted">
                          <Time at={one.expires_at} />
                        </span>
                      )}
                    </span>
                  ),
              },
              { label: "Id", tight: true, cell: (one) => <KeyId id={one.id} what="member id" /> },
              {
                label: "",
                tight: true,
                cell: (one) => <Actions of={one} all={all} own={one.id === self.id} ask={ask} />,
              },
            ]}
          />
        )}
        {gone > 0 && (
          <label class="check small">
            <input type="checkbox" checked={past} onChange={() => setPast(!past)} />
            <span>Show {count(gone, "removed member")}</span>
          </label>
        )}
      </div>
      {asked?.what === "invite" && <InviteDialog onClose={close} onDone={done} />}
      {asked?.what === "edit" && <EditDialog of={asked.of} onClose={close} onDone={done} />}
      {asked?.what === "replace" && (
        <ReplaceDialog of={asked.of} own={asked.of.id === self.id} onClose={close} onDone={done} />
      )}
      {asked?.what === "remove" && <RemoveDialog of={asked.of} onClose={close} onDone={done} />}
    </Page>
  );
}

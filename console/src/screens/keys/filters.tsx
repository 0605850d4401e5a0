import { useConsole } from "../../app/context.ts";
import { setParams, usePlace } from "../../app/router.ts";
import { Button } from "../../parts/button.tsx";
import { Icon } from "../../parts/icon.tsx";
import { FILTERS } from "./query.ts";

interface PickProps {
  name: string;
  label: string;
  options: [value: string, text: string][];
  also?: (value: string) => Record<string, string | null>;
}

function Pick({ name, label, options, also }: PickProps) {
  const value = usePlace().query.get(name) ?? "";
  return (
    <select
      aria-label={label}
      value={value}
      onChange={({ currentTarget }) =>
        setParams({ [name]: currentTarget.value || null, cursor: null, page: null, ...also?.(currentTarget.value) })
      }
    >
      <option value="">{label}: any</option>
      {options.map(([option, text]) => (
        <option key={option} value={option}>
          {text}
        </option>
      ))}
    </select>
  );
}

function TextFilter({ name, label }: { name: string; label: string }) {
  const value = usePlace().query.get(name) ?? "";
  return (
    <input
      type="text"
      aria-label={label}
      placeholder={label}
      value={value}
      size={14}
      onChange={({ currentTarget }) =>
        setParams({ [name]: currentTarget.value.trim() || null, cursor: null, page: null })
      }
    />
  );
}

function Applied({ name, text }: { name: string; text: string }) {
  return (
    <span class="chip accent">
      {text}
      <button
        type="button"
        aria-label={`Remove the filter ${text}`}
        onClick={() => setParams({ [name]: null, cursor: null, page: null })}
      >
        <Icon name="close" />
      </button>
    </span>
  );
}

export function Filters() {
  const { capabilities } = useConsole();
  const { query } = usePlace();
  const q = query.get("q");
  const set = FILTERS.filter((name) => query.get(name));
  const statuses: [string, string][] = [
    ["active", "Active"],
    ["retiring", "Retiring"],
    ["pending", "Pending"],
    ["quarantined", "Quarantined"],
    ["expired", "Expired"],
    ["revoked", "Revoked"],
  ];
  const known = (status: string) => {
    if (status === "pending") return capabilities.has("GET", "/claims");
    return status !== "quarantined" || capabilities.has("POST", "/keys/{id}/release");
  };
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset would need a visible legend
    <div class="filters" role="group" aria-label="Filters">
      <Pick name="status" label="Status" options={statuses.filter(([status]) => known(status))} />
      <Pick
        name="ends"
        label="Ends"
        options={[
          ["7", "Ends within 7 days"],
          ["30", "Ends within 30 days"],
          ["90", "Ends within 90 days"],
        ]}
        also={(value): Record<string, string> => (value && !query.get("status") ? { status: "active" } : {})}
      />
      {capabilities.takes("GET", "/keys", "idle_days") && (
        <Pick
          name="idle"
          label="Idle"
          options={[
            ["7", "Idle for 7 days"],
            ["30", "Idle for 30 days"],
            ["90", "Idle for 90 days"],
          ]}
        />
      )}
      {capabilities.takes("GET", "/keys", "exposed") && (
        <Pick name="exposed" label="Exposed" options={[["true", "Exposed"]]} />
      )}
      <TextFilter name="integration" label="Integration" />
      <TextFilter name="owner" label="Owner" />
      {q && <Applied name="q" text={`Contains “${q}”`} />}
      {set.length > 0 && (
        <Button
          small
          kind="quiet"
          onClick={() =>
            setParams({ ...Object.fromEntries(FILTERS.map((name) => [name, null])), cursor: null, page: null })
          }
        >
          Clear filters
        </Button>
      )}
    </div>
  );
}

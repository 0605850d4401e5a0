import { number } from "../logic/words.ts";

interface Row {
  name: string;
  amount: number;
  /** Where more about it is. */
  address?: string;
  /** Said beneath the name. */
  note?: string | null;
}

interface Props {
  title: string;
  /** Said if there is no row. */
  absent: string;
  rows: Row[];
  /** Names are code, such as routes. */
  code?: boolean;
  danger?: boolean;
  /** Level of the heading: of a part of a section, or of a section. */
  heading?: "h2" | "h3";
}

/** Names with their numbers, and a bar for each by its share of the largest. */
export function AmountBars({ title, absent, rows, code, danger, heading: Heading = "h3" }: Props) {
  const most = Math.max(1, ...rows.map(({ amount }) => amount));
  return (
    <section class="amounts stack-8">
      <Heading>{title}</Heading>
      {rows.length === 0 && <p class="small muted">{absent}</p>}
      <ul>
        {rows.map(({ name, amount, address, note }) => {
          const shown = code ? <code>{name}</code> : name;
          return (
            <li key={name} class={danger ? "bar-row danger" : "bar-row"}>
              <span>
                {address ? (
                  <a href={address} {...(address.startsWith("/_keyward/") && { target: "_blank", rel: "noreferrer" })}>
                    {shown}
                  </a>
                ) : (
                  shown
                )}
              </span>
              <span class="number">{number(amount)}</span>
              <span class="bar-fill" aria-hidden="true">
                <span class="bar-amount" style={{ width: `${(amount / most) * 100}%` }} />
              </span>
              {note && <span class="small muted">{note}</span>}
            </li>
          );
        })}
      </ul>
    </section>
  );
}

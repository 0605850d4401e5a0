import { Choices } from "../../parts/choices.tsx";

export type Delivery = "claim" | "show";
const HOURS = [1, 8, 24, 72, 168];

interface Props {
  delivery: Delivery;
  onDelivery: (delivery: Delivery) => void;
  hours: number;
  onHours: (hours: number) => void;
}

/** How a key gets to those who use it. */
export function DeliveryField({ delivery, onDelivery, hours, onHours }: Props) {
  return (
    <div class="stack">
      <Choices
        legend="Delivery"
        choices={[
          {
            value: "claim",
            label: "Claim link (recommended)",
            hint: "You send a link. The key is made when its user opens the link and asks for it, and nobody else sees it.",
          },
          { value: "show", label: "Show it here once", hint: "You see the key and carry it to where it is used." },
        ]}
        value={delivery}
        onValue={onDelivery}
      />
      {delivery === "claim" && (
        <Choices
          legend="The link works for"
          choices={HOURS.map((count) => ({
            value: String(count),
            label: count < 48 ? `${count} hour${count === 1 ? "" : "s"}` : `${count / 24} days`,
          }))}
          value={String(hours)}
          onValue={(value) => onHours(Number(value))}
        />
      )}
    </div>
  );
}

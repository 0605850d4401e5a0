// What this browser has seen of the log before: its keys and its last checkpoint. A log that was rewritten does not continue them.

export interface Pins {
  keys: string[];
  checkpoint: { size: number; hash: string; text: string; at: number } | null;
}

const STORED = "keyward-audit-pins";

export function readPins(): Pins | null {
  try {
    const pins = JSON.parse(localStorage.getItem(STORED) ?? "null") as Pins | null;
    return pins && Array.isArray(pins.keys) ? pins : null;
  } catch {
    return null;
  }
}

/** Returns whether the browser kept them. */
export function writePins(pins: Pins): boolean {
  try {
    localStorage.setItem(STORED, JSON.stringify(pins));
    return true;
  } catch {
    return false;
  }
}

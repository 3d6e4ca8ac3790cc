/** What somebody enters by hand, as an event of its type. Pure. */

import type { EventType, Quantity } from "./catalogue";
import { isoHere } from "./times";

/** Where it comes from, whatever is entered in this app. */
export const SOURCE = { app: "HealthSync web" };

export const MEALS: readonly string[] = ["breakfast", "lunch", "dinner", "snack"];

export interface Draft {
  /** By field, in the unit that is stored. */
  numbers: Record<string, number>;
  items: { name: string; energy_kcal: string }[];
  meal: string;
  at: number;
  minutes: number;
}

export interface Form {
  fields: { field: Quantity; required: boolean }[];
  /** Whether it has a beginning and an end. */
  lasts: boolean;
}

const MOST_FIELDS = 4;
const FIRST_REQUIRED: Record<string, number> = { blood_pressure: 2 };
const LEFT_OUT = new Set(["ecg", "heart_notification", "medication_dose", "workout_route", "menstruation", "food"]);

/** What is asked for a type; null where it is none to be typed. */
export function formOf(of: EventType): Form | null {
  if (of.name === "food") return { fields: [], lasts: false };
  if (of.fields.length === 0 || of.fields.length > MOST_FIELDS || of.kind === "session" || LEFT_OUT.has(of.name)) {
    return null;
  }
  const required = FIRST_REQUIRED[of.name] ?? 1;
  return {
    fields: of.fields.map((field, place) => ({ field, required: place < required })),
    lasts: of.kind === "interval",
  };
}

/** The event, but for its id. */
export function entryOf(of: EventType, draft: Draft): Record<string, unknown> {
  const start_time = isoHere(draft.at);
  const about = { type: of.name, source: SOURCE };
  if (of.name === "food") {
    const items = draft.items.map(({ name, energy_kcal }) => {
      const kcal = Number(energy_kcal.replace(",", "."));
      return energy_kcal.trim() === "" || Number.isNaN(kcal) ? { name } : { name, energy_kcal: kcal };
    });
    return { ...about, start_time, value: { meal: draft.meal, items } };
  }
  if (of.kind === "interval") {
    const start = draft.at - draft.minutes * 60_000;
    return { ...about, start_time: isoHere(start), end_time: isoHere(draft.at), value: draft.numbers };
  }
  return { ...about, start_time, value: draft.numbers };
}

/** The types of events, as the gateway tells of them. */

export interface Quantity {
  name: string;
  unit: string;
  low: number;
  high: number;
}

export interface EventType {
  name: string;
  kind: "instant" | "interval" | "session" | "daily";
  fields: Quantity[];
  sensitivity: "general" | "reproductive" | "mental" | "location";
  daily: "sum" | "mean" | "last" | "longest" | "none";
}

/** What people look at first, in this order; everything else comes after it by name. */
const FIRST = [
  "heart_rate",
  "steps",
  "sleep",
  "resting_heart_rate",
  "hrv_rmssd",
  "weight",
  "blood_pressure",
  "glucose",
  "spo2",
  "respiratory_rate",
  "body_temperature",
  "energy_active",
  "distance",
  "floors",
  "food",
  "hydration",
];

/** Types in the order in which they are shown. */
export function inOrder(names: readonly string[]): string[] {
  const place = (name: string): number => {
    const found = FIRST.indexOf(name);
    return found < 0 ? FIRST.length : found;
  };
  return [...names].sort((one, other) => place(one) - place(other) || one.localeCompare(other));
}

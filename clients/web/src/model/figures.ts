/** What a day came to, type by type, as a person reads it. Pure. */

export type Statistics = { mean: number; min: number; max: number; count: number };
export type DayTypes = Record<string, Record<string, unknown>>;

export interface Day {
  user_id: string;
  day: string;
  utc_offset: number | null;
  types: DayTypes;
}

/** One number of a type on a day: the one to show, and the range it was in. */
export interface Figure {
  type: string;
  field: string;
  value: number;
  low?: number;
  high?: number;
  second?: number;
}

const LEFT_OUT = new Set(["sources", "start_time", "end_time", "at", "count"]);

function isStatistics(told: unknown): told is Statistics {
  return typeof told === "object" && told !== null && "mean" in told && "min" in told;
}

/** The figure of a type, of what its day says; null where it has no number to show. */
export function figureOf(type: string, told: Record<string, unknown> | undefined, firstField: string): Figure | null {
  if (told === undefined) return null;
  if (type === "blood_pressure" && isStatistics(told["systolic"]) && isStatistics(told["diastolic"])) {
    return { type, field: "systolic", value: told["systolic"].mean, second: told["diastolic"].mean };
  }
  if (type === "sleep" && typeof told["duration_s"] === "number") {
    const awake = typeof told["awake_s"] === "number" ? told["awake_s"] : 0;
    return { type, field: "duration_s", value: told["duration_s"] - awake };
  }
  if (isStatistics(told)) {
    return { type, field: firstField, value: told.mean, low: told.min, high: told.max };
  }
  for (const [field, number] of Object.entries(told)) {
    if (LEFT_OUT.has(field)) continue;
    if (typeof number === "number") return { type, field, value: number };
    if (isStatistics(number)) return { type, field, value: number.mean, low: number.min, high: number.max };
  }
  return null;
}

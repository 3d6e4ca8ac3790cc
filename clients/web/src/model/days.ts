/** The days of a user up to one of them, as they are asked for. Pure. */

import { daysAfter, spanOf } from "./times";

const DAYS = 30;

/** The path of what the days up to `date` came to. */
export function daysPath(base: string, date: string): string {
  return `${base}/summary?since=${daysAfter(date, 1 - DAYS)}&until=${date}`;
}

/** The newest day that one of these paths ends with; null where none is of days. */
export function lastDay(base: string, paths: readonly string[]): string | null {
  const dates = paths.map((path) => path.slice(-10)).filter((date) => spanOf(date) !== null);
  return (
    dates
      .filter((date) => paths.includes(daysPath(base, date)))
      .sort()
      .at(-1) ?? null
  );
}

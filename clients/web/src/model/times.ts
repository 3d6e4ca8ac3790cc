/** Times as people say them: local days, clocks of 24 or 12 hours, and how long ago. Pure but for the time zone. */

export const DAY_MS = 86_400_000;

export interface Span {
  since: number;
  until: number;
}

const DATE = /^(\d{4})-(\d{2})-(\d{2})$/;

/** The local midnights around a date such as 2026-11-23, which may be 23 or 25 hours apart; null for no date. */
export function spanOf(date: string): Span | null {
  const found = DATE.exec(date);
  if (found === null) return null;
  const [year, month, day] = [Number(found[1]), Number(found[2]) - 1, Number(found[3])];
  const since = new Date(year, month, day);
  if (since.getMonth() !== month || since.getDate() !== day) return null;
  return { since: since.getTime(), until: new Date(year, month, day + 1).getTime() };
}

/** The local date of a time. */
export function dateOf(ms: number): string {
  const when = new Date(ms);
  const two = (part: number): string => String(part).padStart(2, "0");
  return `${String(when.getFullYear()).padStart(4, "0")}-${two(when.getMonth() + 1)}-${two(when.getDate())}`;
}

/** The date so many days after another one. */
export function daysAfter(date: string, days: number): string {
  const span = spanOf(date);
  if (span === null) return date;
  const begin = new Date(span.since);
  return dateOf(new Date(begin.getFullYear(), begin.getMonth(), begin.getDate() + days).getTime());
}

/** Seconds that the local clock is ahead of UTC at a time. */
export function offsetAt(ms: number): number {
  return -new Date(ms).getTimezoneOffset() * 60;
}

export function iso(ms: number): string {
  return new Date(ms).toISOString();
}

/** The same with the local offset, as a measurement is sent: 2026-11-23T06:00:00.000+01:00. */
export function isoHere(ms: number): string {
  const offset = offsetAt(ms);
  const sign = offset < 0 ? "-" : "+";
  const minutes = Math.abs(offset) / 60;
  const two = (part: number): string => String(Math.floor(part)).padStart(2, "0");
  const local = new Date(ms + offset * 1000).toISOString().slice(0, -1);
  return `${local}${sign}${two(minutes / 60)}:${two(minutes % 60)}`;
}

/** Hours and minutes of a length of time. */
export function hoursAndMinutes(seconds: number): { hours: number; minutes: number } {
  const minutes = Math.round(seconds / 60);
  return { hours: Math.floor(minutes / 60), minutes: minutes % 60 };
}

/** How long ago something was, in the largest unit that is not zero. */
export function ago(ms: number, now: number): { amount: number; unit: "second" | "minute" | "hour" | "day" } {
  const seconds = Math.max(0, Math.round((now - ms) / 1000));
  if (seconds < 60) return { amount: seconds, unit: "second" };
  if (seconds < 3_600) return { amount: Math.floor(seconds / 60), unit: "minute" };
  if (seconds < 86_400) return { amount: Math.floor(seconds / 3_600), unit: "hour" };
  return { amount: Math.floor(seconds / 86_400), unit: "day" };
}

/** A number over time as the gateway thins it, and what its picture needs. Pure. */

import type { Span } from "./times";
import { iso, offsetAt } from "./times";

export interface Series {
  type: string;
  field: string;
  unit: string;
  resolution: "exact" | "bucket" | "day";
  width_s: number;
  adds_up: boolean;
  complete: boolean;
  at: number[];
  value: number[];
  low: number[];
  high: number[];
}

/** The path of a series. */
export function seriesPath(user: string, type: string, field: string | null, span: Span, points: number): string {
  const asked = new URLSearchParams({
    type,
    since: iso(span.since),
    until: iso(span.until),
    points: String(points),
    offset: String(offsetAt(span.since)),
  });
  if (field !== null) asked.set("field", field);
  return `/v1/users/${encodeURIComponent(user)}/series?${asked.toString()}`;
}

/** The lowest and the highest of all; null of nothing. */
export function extremes(series: Pick<Series, "low" | "high">): { low: number; high: number } | null {
  if (series.low.length === 0) return null;
  let low = Infinity;
  let high = -Infinity;
  for (const each of series.low) if (each < low) low = each;
  for (const each of series.high) if (each > high) high = each;
  return { low, high };
}

/** A span moved by a part of itself, or made wider around a place in it (0 is its beginning, 1 its end). */
export function moved(span: Span, part: number): Span {
  const by = Math.round((span.until - span.since) * part);
  return { since: span.since + by, until: span.until + by };
}

const CLOSEST_MS = 60_000;
const WIDEST_MS = 20 * 366 * 86_400_000;

export function zoomed(span: Span, factor: number, around = 0.5): Span {
  const width = span.until - span.since;
  const next = Math.min(WIDEST_MS, Math.max(CLOSEST_MS, Math.round(width * factor)));
  const since = Math.round(span.since + (width - next) * around);
  return { since, until: since + next };
}

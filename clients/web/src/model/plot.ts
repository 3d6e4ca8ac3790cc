/** A series as columns for a plot: seconds, numbers in the units of the settings, and holes where nothing was measured. */

import type { Series } from "./series";
import type { Span } from "./times";
import type { Unit } from "./units";

export type Column = (number | null)[];

export interface Columns {
  at: number[];
  value: Column;
  low: Column;
  high: Column;
}

const BUCKETS_OF_A_HOLE = 3;
const MEDIANS_OF_A_HOLE = 20;

/** `holes`: whether a line breaks where nothing was measured; of what is measured now and then it does not. */
export function columnsOf(series: Series, unit: Unit, holes: boolean): Columns {
  const found: Columns = { at: [], value: [], low: [], high: [] };
  const widest = holes && !series.adds_up ? widestStep(series) : Infinity;
  let before = -Infinity;
  series.at.forEach((ms, place) => {
    const low = unit.shown(series.low[place] ?? 0);
    if (ms - before > widest && found.at.length > 0) push(found, (before + ms) / 2000, null, null, null);
    push(found, ms / 1000, unit.shown(series.value[place] ?? 0), low, unit.shown(series.high[place] ?? 0));
    before = ms;
  });
  return found;
}

function push(into: Columns, at: number, value: number | null, low: number | null, high: number | null): void {
  into.at.push(at);
  into.value.push(value);
  into.low.push(low);
  into.high.push(high);
}

function widestStep(series: Series): number {
  if (series.width_s > 0) return series.width_s * 1000 * BUCKETS_OF_A_HOLE;
  const steps = series.at.slice(1).map((ms, place) => ms - (series.at[place] ?? 0));
  steps.sort((one, other) => one - other);
  return (steps[steps.length >> 1] ?? Infinity) * MEDIANS_OF_A_HOLE;
}

/** What is asked for so that a view can be moved a little without asking again: three times as much, on round times. */
export function askedFor(view: Span): Span {
  const width = view.until - view.since;
  const grid = 2 ** Math.ceil(Math.log2(width));
  const since = Math.floor((view.since - width / 2) / (grid / 2)) * (grid / 2);
  return { since, until: since + 3 * grid };
}

/** The points of a series that are in a view. */
export function inView(series: Series, view: Span): { count: number; low: number; high: number } | null {
  let [count, low, high] = [0, Infinity, -Infinity];
  series.at.forEach((ms, place) => {
    if (ms < view.since || ms >= view.until) return;
    count += 1;
    low = Math.min(low, series.adds_up ? (series.value[place] ?? 0) : (series.low[place] ?? 0));
    high = Math.max(high, series.adds_up ? (series.value[place] ?? 0) : (series.high[place] ?? 0));
  });
  return count === 0 ? null : { count, low, high };
}

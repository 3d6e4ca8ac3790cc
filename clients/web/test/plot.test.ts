import { expect, test } from "vitest";
import { askedFor, columnsOf, inView } from "../src/model/plot";
import { moved, type Series, zoomed } from "../src/model/series";
import { unitOf } from "../src/model/units";

const unit = unitOf("/min", { mass: "kg", glucose: "mg", length: "metric", temperature: "celsius" });

function series(at: number[], more: Partial<Series> = {}): Series {
  const value = at.map((_, place) => 60 + place);
  return {
    type: "heart_rate",
    field: "bpm",
    unit: "/min",
    resolution: "exact",
    width_s: 0,
    adds_up: false,
    complete: true,
    at,
    value,
    low: value,
    high: value,
    ...more,
  };
}

test("a line has a hole where nothing was measured, and none where measuring is rare", () => {
  const minutes = [0, 60_000, 120_000, 180_000, 9_000_000];
  expect(columnsOf(series(minutes), unit, true).value).toEqual([60, 61, 62, 63, null, 64]);
  expect(columnsOf(series(minutes), unit, false).value).toEqual([60, 61, 62, 63, 64]);
  const buckets = series([0, 900_000, 3_700_000], { width_s: 900, resolution: "bucket" });
  expect(columnsOf(buckets, unit, true).value).toEqual([60, 61, null, 62]);
  expect(columnsOf({ ...buckets, adds_up: true }, unit, true).value).toEqual([60, 61, 62]);
});

test("a view that is moved a little asks for the same", () => {
  const view = { since: 1_000_000_000, until: 1_086_400_000 };
  const asked = askedFor(view);
  expect(asked.since).toBeLessThanOrEqual(view.since);
  expect(asked.until).toBeGreaterThanOrEqual(view.until);
  expect(asked.until - asked.since).toBeLessThan(7 * 86_400_000);
  expect([0.001, 0.002, 0.003].map((part) => askedFor(moved(view, part)))).toContainEqual(asked);
  for (let part = -2; part <= 2; part += 0.05) {
    const [there, about] = [moved(view, part), askedFor(moved(view, part))];
    expect(about.since).toBeLessThanOrEqual(there.since);
    expect(about.until).toBeGreaterThanOrEqual(there.until);
  }
});

test("what is in view has its lowest and highest; nothing is null", () => {
  expect(inView(series([0, 10, 20]), { since: 5, until: 20 })).toEqual({ count: 1, low: 61, high: 61 });
  expect(inView(series([0, 10, 20]), { since: 50, until: 60 })).toBeNull();
});

test("coming closer keeps the place under the pointer, and ends at a minute", () => {
  const view = { since: 0, until: 100 * 60_000 };
  const closer = zoomed(view, 0.5, 0.25);
  expect(closer.since + 0.25 * (closer.until - closer.since)).toBe(25 * 60_000);
  expect(zoomed(view, 1e-9).until - zoomed(view, 1e-9).since).toBe(60_000);
});

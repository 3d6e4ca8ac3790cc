import { describe, expect, test } from "vitest";
import { ago, dateOf, daysAfter, hoursAndMinutes, isoHere, offsetAt, spanOf } from "../src/model/times";

// The tests run in Berlin (vitest.config.ts): a zone whose days are not all as long.
describe("local days", () => {
  test("have 23 and 25 hours where the clock is changed", () => {
    const hours = (date: string): number => {
      const span = spanOf(date);
      return span === null ? 0 : (span.until - span.since) / 3_600_000;
    };
    expect(hours("2026-03-29")).toBe(23);
    expect(hours("2026-10-25")).toBe(25);
    expect(hours("2026-11-26")).toBe(24);
  });

  test("are found again, and counted over months, years and changed clocks", () => {
    expect(dateOf(spanOf("2026-10-25")?.since ?? 0)).toBe("2026-10-25");
    expect(daysAfter("2026-10-24", 2)).toBe("2026-10-26");
    expect(daysAfter("2026-01-01", -1)).toBe("2025-12-31");
    expect(daysAfter("2028-02-28", 1)).toBe("2028-02-29");
  });

  test.each(["2026-02-30", "2026-13-01", "today", "", "2026-1-1"])("%s is none", (text) => {
    expect(spanOf(text)).toBeNull();
  });
});

test("a moment is written with the offset that held then", () => {
  expect(isoHere(Date.UTC(2026, 10, 23, 5))).toBe("2026-11-23T06:00:00.000+01:00");
  expect(isoHere(Date.UTC(2026, 6, 23, 5))).toBe("2026-07-23T07:00:00.000+02:00");
  expect(offsetAt(Date.UTC(2026, 6, 23))).toBe(7_200);
});

test("lengths of time and how long ago", () => {
  expect(hoursAndMinutes(24_416)).toEqual({ hours: 6, minutes: 47 });
  expect(hoursAndMinutes(59.6 * 60)).toEqual({ hours: 1, minutes: 0 });
  expect(ago(0, 59_000)).toEqual({ amount: 59, unit: "second" });
  expect(ago(0, 3_600_000)).toEqual({ amount: 1, unit: "hour" });
  expect(ago(5_000, 0)).toEqual({ amount: 0, unit: "second" });
});

import { expect, test } from "vitest";
import { lineOfRoute, type Place } from "../src/model/route_line";

test("a way is drawn north up, as wide as it was on the ground, inside its picture", () => {
  // A square of about 1 km in Munich.
  const places: Place[] = [
    [0, 48.13, 11.57],
    [60, 48.139, 11.57],
    [120, 48.139, 11.5835],
    [180, 48.13, 11.5835],
  ];
  const line = lineOfRoute(places, 120, 120, 10);
  const points =
    line?.path
      .slice(1)
      .split("L")
      .map((pair) => pair.split(" ").map(Number) as [number, number]) ?? [];
  const [start, north, east] = points;
  expect(north?.[1]).toBeLessThan(start?.[1] ?? 0);
  expect(east?.[0]).toBeGreaterThan(north?.[0] ?? 0);
  const [tall, wide] = [(start?.[1] ?? 0) - (north?.[1] ?? 0), (east?.[0] ?? 0) - (north?.[0] ?? 0)];
  expect(Math.abs(tall - wide)).toBeLessThan(2);
  for (const [x, y] of points) {
    expect(Math.min(x, y)).toBeGreaterThanOrEqual(9.9);
    expect(Math.max(x, y)).toBeLessThanOrEqual(110.1);
  }
});

test("who stood still went no way, and a long way has few points", () => {
  expect(
    lineOfRoute(
      [
        [0, 1, 1],
        [5, 1, 1],
      ],
      100,
      100,
    ),
  ).toBeNull();
  expect(lineOfRoute([[0, 1, 1]], 100, 100)).toBeNull();
  const long = Array.from({ length: 20_000 }, (_, at): Place => [at, at / 1e5, at / 1e5]);
  expect(lineOfRoute(long, 100, 100)?.path.split("L").length).toBeLessThan(620);
});

import { expect, test } from "vitest";
import { figureOf } from "../src/model/figures";
import { inOrder } from "../src/model/catalogue";
import { routeOf } from "../src/route";

test("a day's figure of each kind of type", () => {
  const statistics = { mean: 76.4, min: 54, max: 154, count: 1440, sources: ["watch"] };
  expect(figureOf("heart_rate", statistics, "bpm")).toMatchObject({ field: "bpm", value: 76.4, low: 54, high: 154 });
  expect(figureOf("steps", { steps: 858, sources: [] }, "steps")).toMatchObject({ value: 858 });
  const pressure = {
    systolic: { mean: 129, min: 129, max: 129, count: 1 },
    diastolic: { mean: 88, min: 88, max: 88, count: 1 },
  };
  expect(figureOf("blood_pressure", pressure, "systolic")).toMatchObject({ value: 129, second: 88 });
  const night = { start_time: "x", duration_s: 24_416, awake_s: 416, sources: [] };
  expect(figureOf("sleep", night, "total_asleep_s")).toMatchObject({ value: 24_000 });
  expect(figureOf("symptom", { sources: ["app"] }, "")).toBeNull();
  expect(figureOf("steps", undefined, "steps")).toBeNull();
});

test("what people look at first comes first", () => {
  expect(inOrder(["zinc", "weight", "alpha", "heart_rate"])).toEqual(["heart_rate", "weight", "alpha", "zinc"]);
});

test("a place in the app is read from its address", () => {
  expect(routeOf("#/day/2026-11-23")).toMatchObject({ page: "day", of: "2026-11-23" });
  expect(routeOf("")).toMatchObject({ page: "", of: "" });
  expect(routeOf("#/charts/heart_rate?x=1").rest.get("x")).toBe("1");
});

import { expect, test } from "vitest";
import { distance, unitOf, type UnitChoice } from "../src/model/units";

const METRIC: UnitChoice = { mass: "kg", glucose: "mg", length: "metric", temperature: "celsius" };
const OTHER: UnitChoice = { mass: "lb", glucose: "mmol", length: "imperial", temperature: "fahrenheit" };

test.each([
  ["kg", 71.3, "157.2 lb"],
  ["mg/dL", 90, "5.0 mmol/l"],
  ["Cel", 36.6, "97.9 °F"],
  ["cm", 180, "70.9 in"],
])("a number in %s is shown as people choose, and comes back as it was", (ucum, stored, text) => {
  const unit = unitOf(ucum, OTHER);
  expect(`${unit.shown(stored).toFixed(unit.decimals)} ${unit.label}`).toBe(text);
  expect(unit.stored(unit.shown(stored))).toBeCloseTo(stored, 9);
  expect(unitOf(ucum, METRIC).shown(stored)).toBe(stored);
});

test("what has no unit that people say is a number alone", () => {
  for (const ucum of ["{steps}", "1", "{score}"]) expect(unitOf(ucum, METRIC).label).toBe("");
  expect(unitOf("mm[Hg]", METRIC).label).toBe("mmHg");
});

test("distances are metres, kilometres or miles", () => {
  expect(distance(620, METRIC)).toEqual({ value: 620, label: "m", decimals: 0 });
  expect(distance(9_300, METRIC).value).toBeCloseTo(9.3);
  expect(distance(1_609.344, OTHER)).toEqual({ value: 1, label: "mi", decimals: 1 });
});

import { expect, test } from "vitest";
import type { EventType } from "../src/model/catalogue";
import { type Draft, entryOf, formOf } from "../src/model/entry";
import { grantedTo } from "../src/model/consent";
import { bpmOf } from "../src/model/strap";

const AT = Date.UTC(2026, 10, 23, 5);
const field = (name: string, unit = "kg"): EventType["fields"][number] => ({ name, unit, low: 0, high: 1 });
const type = (name: string, kind: EventType["kind"], ...fields: string[]): EventType => ({
  name,
  kind,
  fields: fields.map((each) => field(each)),
  sensitivity: "general",
  daily: "last",
});
const draft = (more: Partial<Draft>): Draft => ({ numbers: {}, items: [], meal: "lunch", at: AT, minutes: 0, ...more });

test("a number of a moment, of a time that lasted, and a meal become events", () => {
  const source = { app: "HealthSync web" };
  expect(entryOf(type("weight", "instant", "kg"), draft({ numbers: { kg: 71.3 } }))).toEqual({
    type: "weight",
    source,
    start_time: "2026-11-23T06:00:00.000+01:00",
    value: { kg: 71.3 },
  });
  expect(entryOf(type("hydration", "interval", "ml"), draft({ numbers: { ml: 250 }, minutes: 30 }))).toEqual({
    type: "hydration",
    source,
    start_time: "2026-11-23T05:30:00.000+01:00",
    end_time: "2026-11-23T06:00:00.000+01:00",
    value: { ml: 250 },
  });
  const items = [
    { name: "Soup", energy_kcal: "210,5" },
    { name: "Bread", energy_kcal: "" },
  ];
  expect(entryOf(type("food", "session"), draft({ items })).value).toEqual({
    meal: "lunch",
    items: [{ name: "Soup", energy_kcal: 210.5 }, { name: "Bread" }],
  });
});

test("what is asked for: both pressures, and nothing of what nobody types", () => {
  const pressure = formOf(type("blood_pressure", "instant", "systolic", "diastolic", "pulse"));
  expect(pressure?.fields.map(({ required }) => required)).toEqual([true, true, false]);
  expect(formOf(type("steps", "interval", "steps"))?.lasts).toBe(true);
  for (const none of [type("sleep", "session", "a"), type("symptom", "instant"), type("ecg", "session", "hz")]) {
    expect(formOf(none)).toBeNull();
  }
});

test("what holds of all that was said", () => {
  const granted = grantedTo([
    { purpose: "store", state: "granted", types: ["all"] },
    { purpose: "store", state: "granted", types: ["menstruation"] },
    { purpose: "share", state: "withdrawn", types: ["all"] },
  ]);
  expect([...granted.store]).toEqual(["all", "menstruation"]);
  expect(granted.share.size + granted.insights.size).toBe(0);
});

test.each([
  [[0x00, 72], 72],
  [[0x01, 0x2c, 0x01], 300],
  [[0x06, 61], 61],
  [[0x04, 61], null],
  [[0x00, 0], null],
  [[0x01, 72], null],
  [[0x00], null],
])("what a strap says: %j is %j", (bytes, bpm) => {
  expect(bpmOf(new DataView(Uint8Array.from(bytes).buffer))).toBe(bpm);
});

import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import de from "../src/words/de.json";
import en from "../src/words/en.json";
import german from "../src/words/types.de.json";
import { filled, nameOf, preferredLanguage } from "../src/words/words";

const places = (text: string): string[] => [...text.matchAll(/\{\w+\}/g)].map(([each]) => each).sort();

test("a language has every word, with the same places for values", () => {
  expect(Object.keys(de).sort()).toEqual(Object.keys(en).sort());
  for (const [word, text] of Object.entries(en)) {
    expect(places((de as Record<string, string>)[word] ?? ""), word).toEqual(places(text));
  }
});

test("values are put in, and what has none stays", () => {
  expect(filled("{n} of {m}", { n: 3 })).toBe("3 of {m}");
});

test("the language is the browser's first that there is", () => {
  expect(preferredLanguage(["fr-FR", "de-AT", "en"])).toBe("de");
  expect(preferredLanguage(["fr"])).toBe("en");
});

test("a type has a name that people read", () => {
  expect(nameOf("resting_heart_rate")).toBe("Resting heart rate");
  expect(nameOf("spo2")).toBe("SpO₂");
});

test("German has a name for each type of the catalogue", () => {
  const place = new URL("../../../docs/reference/schemas/types/", import.meta.url);
  const types = readdirSync(place).map((name) => name.replace(".json", ""));
  expect(types.length).toBeGreaterThan(100);
  expect(types.filter((type) => !(type in german))).toEqual([]);
});

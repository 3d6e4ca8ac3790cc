/** What the page says, in the language that was chosen. A language is one file beside this one. */

import en from "./en.json";

export type Word = keyof typeof en;
export type Language = "en" | "de";
export type Values = Record<string, string | number>;

export const LANGUAGES: Record<Language, string> = { en: "English", de: "Deutsch" };

interface Spoken {
  language: Language;
  words: Record<string, string>;
  types: Record<string, string>;
}

let spoken: Spoken = { language: "en", words: en, types: {} };

/** The language of the browser, if there is a file of it. */
export function preferredLanguage(asked: readonly string[]): Language {
  const known = asked.map((each) => each.slice(0, 2).toLowerCase()).find((each) => each in LANGUAGES);
  return (known as Language | undefined) ?? "en";
}

/** Speak a language from now on; its file is fetched when it is first spoken. */
export async function speak(language: Language): Promise<void> {
  if (language === "de") {
    const [words, types] = await Promise.all([import("./de.json"), import("./types.de.json")]);
    spoken = { language, words: words.default, types: types.default };
  } else {
    spoken = { language, words: en, types: {} };
  }
  document.documentElement.lang = language;
}

export function language(): Language {
  return spoken.language;
}

/** A word with its values put in. */
export function say(word: Word, values: Values = {}): string {
  return filled(spoken.words[word] ?? en[word], values);
}

/** `{name}` replaced by its value. */
export function filled(text: string, values: Values): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

const SHORT: Record<string, string> = {
  spo2: "SpO₂",
  hrv_rmssd: "HRV (RMSSD)",
  hrv_sdnn: "HRV (SDNN)",
  bmi: "BMI",
  ecg: "ECG",
  vo2_max: "VO₂ max",
  met: "MET",
  fev1: "FEV1",
  fvc: "FVC",
  pef: "PEF",
};

/** What people call a type or a field. */
export function nameOf(type: string): string {
  const known = spoken.types[type] ?? SHORT[type];
  if (known !== undefined) return known;
  const words = type.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

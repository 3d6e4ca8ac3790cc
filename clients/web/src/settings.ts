/** What this browser is set to: language, colours, clock, units. Nothing of it leaves the browser. */

import { useSyncExternalStore } from "react";
import type { UnitChoice } from "./model/units";
import { type Language, preferredLanguage } from "./words/words";

export interface Settings extends UnitChoice {
  language: Language;
  theme: "system" | "light" | "dark";
  clock: "24" | "12";
  /** The type that the one button says. */
  button: string;
}

const KEPT = "healthsync.settings";

function beginning(): Settings {
  const language = preferredLanguage(navigator.languages);
  const states = navigator.language === "en-US";
  const usual: Settings = {
    language,
    theme: "system",
    clock: states ? "12" : "24",
    button: "hydration",
    mass: states ? "lb" : "kg",
    glucose: "mg",
    length: states ? "imperial" : "metric",
    temperature: states ? "fahrenheit" : "celsius",
  };
  try {
    return { ...usual, ...(JSON.parse(localStorage.getItem(KEPT) ?? "{}") as Partial<Settings>) };
  } catch {
    return usual;
  }
}

let now = beginning();
const listeners = new Set<() => void>();

export const settings = {
  get: (): Settings => now,
  set(changed: Partial<Settings>): void {
    now = { ...now, ...changed };
    localStorage.setItem(KEPT, JSON.stringify(now));
    for (const listener of listeners) listener();
  },
  subscribe(listener: () => void): () => void {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
};

export function useSettings(): Settings {
  return useSyncExternalStore(settings.subscribe, settings.get);
}

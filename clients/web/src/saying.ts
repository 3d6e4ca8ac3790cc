/** Numbers, dates and times in the language and the units of the settings. */

import { ago, hoursAndMinutes } from "./model/times";
import { type Unit, unitOf } from "./model/units";
import { settings } from "./settings";
import { say, type Word } from "./words/words";

const formats = new Map<string, Intl.DateTimeFormat>();

function format(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const { language, clock } = settings.get();
  const key = `${language}${clock}${JSON.stringify(options)}`;
  let found = formats.get(key);
  if (found === undefined) {
    found = new Intl.DateTimeFormat(language === "en" ? "en-GB" : language, {
      hourCycle: clock === "24" ? "h23" : "h12",
      ...options,
    });
    formats.set(key, found);
  }
  return found;
}

export const clockTime = (ms: number): string => format({ hour: "2-digit", minute: "2-digit" }).format(ms);
export const longDate = (ms: number): string => format({ weekday: "long", day: "numeric", month: "long" }).format(ms);
export const shortDate = (ms: number): string => format({ day: "numeric", month: "short" }).format(ms);
export const fullDate = (ms: number): string => format({ day: "numeric", month: "short", year: "numeric" }).format(ms);
export const dateAndTime = (ms: number): string =>
  format({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }).format(ms);

export function decimal(number: number, decimals: number): string {
  return number.toLocaleString(settings.get().language === "en" ? "en-GB" : settings.get().language, {
    maximumFractionDigits: decimals,
    minimumFractionDigits: Number.isInteger(number) ? 0 : decimals,
  });
}

/** A stored number as it is shown, and what stands behind it. */
export function shown(stored: number, ucum: string): { text: string; unit: string } {
  const unit: Unit = unitOf(ucum, settings.get());
  return { text: decimal(unit.shown(stored), unit.decimals), unit: unit.label };
}

export function lengthOfTime(seconds: number): string {
  const { hours, minutes } = hoursAndMinutes(seconds);
  return hours === 0 ? say("time.m", { m: minutes }) : say("time.hm", { h: hours, m: minutes });
}

export function howLongAgo(ms: number, now = Date.now()): string {
  const { amount, unit } = ago(ms, now);
  return say(`time.ago.${unit}` as Word, { n: amount });
}

/** Numbers in the units that people choose. What is stored keeps the unit of its type. Pure. */

export interface UnitChoice {
  mass: "kg" | "lb";
  glucose: "mg" | "mmol";
  length: "metric" | "imperial";
  temperature: "celsius" | "fahrenheit";
}

export interface Unit {
  /** What is written behind the number. */
  label: string;
  decimals: number;
  shown: (stored: number) => number;
  stored: (shown: number) => number;
}

const LB = 0.45359237;
const MMOL = 18.0182;
const same = (number: number): number => number;

function scaled(label: string, decimals: number, factor: number): Unit {
  return { label, decimals, shown: (stored) => stored / factor, stored: (shown) => shown * factor };
}

const LABELS: Record<string, string> = {
  "/min": "/min",
  "mm[Hg]": "mmHg",
  Cel: "°C",
  mL: "ml",
  "mg/dL": "mg/dl",
  "kg/m2": "kg/m²",
  "kcal/d": "kcal/d",
  uS: "µS",
  uV: "µV",
  ug: "µg",
  deg: "°",
  a: "",
  "1": "",
  "[IU]": "IU",
  "mL/kg/min": "ml/kg/min",
};

/** How a number of a stored unit (UCUM, as the catalogue has it) is shown. */
export function unitOf(stored: string, choice: UnitChoice): Unit {
  if (stored === "kg" && choice.mass === "lb") return scaled("lb", 1, LB);
  if (stored === "kg") return { label: "kg", decimals: 1, shown: same, stored: same };
  if (stored === "mg/dL" && choice.glucose === "mmol") return scaled("mmol/l", 1, MMOL);
  if (stored === "Cel" && choice.temperature === "fahrenheit") {
    return { label: "°F", decimals: 1, shown: (c) => c * 1.8 + 32, stored: (f) => (f - 32) / 1.8 };
  }
  if (stored === "cm" && choice.length === "imperial") return scaled("in", 1, 2.54);
  const label = LABELS[stored] ?? (stored.startsWith("{") ? "" : stored);
  return { label, decimals: decimalsOf(stored), shown: same, stored: same };
}

/** Metres as kilometres or miles. */
export function distance(meters: number, choice: UnitChoice): { value: number; label: string; decimals: number } {
  if (choice.length === "imperial") return { value: meters / 1609.344, label: "mi", decimals: 1 };
  if (meters < 1000) return { value: meters, label: "m", decimals: 0 };
  return { value: meters / 1000, label: "km", decimals: 1 };
}

function decimalsOf(stored: string): number {
  switch (stored) {
    case "Cel":
    case "%":
    case "km":
    case "L":
    case "m/s":
    case "kg/m2":
      return 1;
    case "deg":
      return 4;
    default:
      return 0;
  }
}

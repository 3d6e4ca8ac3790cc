/** What a person agrees to, by purpose. Pure. */

export const PURPOSES = ["store", "share", "insights", "analysis"] as const;
export type Purpose = (typeof PURPOSES)[number];

export interface ConsentLine {
  types: string[];
  purpose: string;
  state: string;
}

/** The types that hold now, for each purpose; "all" are the general ones. */
export function grantedTo(lines: readonly ConsentLine[]): Record<Purpose, ReadonlySet<string>> {
  const of = (purpose: Purpose): ReadonlySet<string> =>
    new Set(lines.filter((line) => line.purpose === purpose && line.state === "granted").flatMap((line) => line.types));
  return { store: of("store"), share: of("share"), insights: of("insights"), analysis: of("analysis") };
}

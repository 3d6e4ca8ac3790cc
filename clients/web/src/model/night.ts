/** Stages of sleep as pieces of a picture. Pure. */

import type { HealthEvent } from "../api/live";
import type { Span } from "./times";

export type Stage = "awake" | "light" | "deep" | "rem" | "asleep" | "in_bed";

export interface Piece {
  stage: Stage;
  from: number;
  to: number;
}

const KNOWN: Record<string, Stage> = {
  awake: "awake",
  awake_in_bed: "awake",
  out_of_bed: "awake",
  light: "light",
  deep: "deep",
  rem: "rem",
  asleep: "asleep",
  sleeping: "asleep",
  in_bed: "in_bed",
};

/** Depth of a stage: 0 is awake, 1 lies deepest. */
export const DEPTH: Record<Stage, number> = { in_bed: 0, awake: 0, rem: 0.34, asleep: 0.5, light: 0.67, deep: 1 };

/** The pieces of all nights that lie within a span. A night without stages is one piece; of two at one time the longer counts. */
export function piecesOf(nights: readonly HealthEvent[], within: Span): Piece[] {
  const found: Piece[] = [];
  for (const night of apart(nights)) {
    if (night.op === "delete" || night.start_time === null || night.end_time === null) continue;
    const stages = night.value?.["stages"];
    const parts = Array.isArray(stages) && stages.length > 0 ? (stages as StoredStage[]) : [wholeOf(night)];
    for (const part of parts) {
      const from = Math.max(within.since, Date.parse(part.start_time));
      const to = Math.min(within.until, Date.parse(part.end_time));
      if (from < to) found.push({ stage: KNOWN[part.stage] ?? "asleep", from, to });
    }
  }
  return found.sort((one, other) => one.from - other.from);
}

/** Nights of which none lies over another one: two devices measured the same sleep. */
function apart(nights: readonly HealthEvent[]): HealthEvent[] {
  const kept: HealthEvent[] = [];
  const begin = (night: HealthEvent): number => Date.parse(night.start_time ?? "");
  const end = (night: HealthEvent): number => Date.parse(night.end_time ?? "");
  const there = nights.filter((night) => night.op !== "delete" && end(night) > begin(night));
  for (const night of there.sort((one, other) => end(other) - begin(other) - (end(one) - begin(one)))) {
    if (kept.every((each) => end(night) <= begin(each) || begin(night) >= end(each))) kept.push(night);
  }
  return kept;
}

interface StoredStage {
  stage: string;
  start_time: string;
  end_time: string;
}

function wholeOf(night: HealthEvent): StoredStage {
  return { stage: "asleep", start_time: night.start_time ?? "", end_time: night.end_time ?? "" };
}

/** Seconds asleep. */
export function asleepSeconds(pieces: readonly Piece[]): number {
  const asleep = pieces.filter((piece) => DEPTH[piece.stage] > 0);
  return asleep.reduce((sum, piece) => sum + (piece.to - piece.from) / 1000, 0);
}

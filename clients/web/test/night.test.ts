import { expect, test } from "vitest";
import type { HealthEvent } from "../src/api/live";
import { asleepSeconds, piecesOf } from "../src/model/night";

function night(start: string, end: string, stages?: [string, string, string][]): HealthEvent {
  const told = stages?.map(([stage, from, to]) => ({ stage, start_time: from, end_time: to }));
  return {
    seq: 1,
    id: "n",
    user_id: "u",
    device_id: "d",
    type: "sleep",
    op: "upsert",
    received_at: end,
    start_time: start,
    end_time: end,
    value: told === undefined ? {} : { stages: told },
  };
}

const DAY = { since: Date.parse("2026-11-25T00:00:00Z"), until: Date.parse("2026-11-26T00:00:00Z") };

test("a night over midnight is cut where the day begins, and waking is no sleep", () => {
  const pieces = piecesOf(
    [
      night("2026-11-24T23:00:00Z", "2026-11-25T02:00:00Z", [
        ["light", "2026-11-24T23:00:00Z", "2026-11-25T00:30:00Z"],
        ["awake", "2026-11-25T00:30:00Z", "2026-11-25T01:00:00Z"],
        ["deep", "2026-11-25T01:00:00Z", "2026-11-25T02:00:00Z"],
      ]),
    ],
    DAY,
  );
  expect(pieces.map((piece) => [piece.stage, (piece.to - piece.from) / 60_000])).toEqual([
    ["light", 30],
    ["awake", 30],
    ["deep", 60],
  ]);
  expect(asleepSeconds(pieces)).toBe(90 * 60);
});

test("a night without stages is one piece, one of another day none, and an unknown word is sleep", () => {
  expect(piecesOf([night("2026-11-25T01:00:00Z", "2026-11-25T02:00:00Z")], DAY)).toHaveLength(1);
  expect(piecesOf([night("2026-11-23T01:00:00Z", "2026-11-23T02:00:00Z")], DAY)).toEqual([]);
  const [piece] = piecesOf(
    [
      night("2026-11-25T01:00:00Z", "2026-11-25T02:00:00Z", [
        ["dozing", "2026-11-25T01:00:00Z", "2026-11-25T02:00:00Z"],
      ]),
    ],
    DAY,
  );
  expect(piece?.stage).toBe("asleep");
  const gone = { ...night("2026-11-25T01:00:00Z", "2026-11-25T02:00:00Z"), op: "delete" as const };
  expect(piecesOf([gone], DAY)).toEqual([]);
});

test("of two devices that measured one sleep the longer is shown, and a nap beside it stays", () => {
  const pieces = piecesOf(
    [
      night("2026-11-25T01:00:00Z", "2026-11-25T05:00:00Z"),
      night("2026-11-25T00:30:00Z", "2026-11-25T06:00:00Z"),
      night("2026-11-25T13:00:00Z", "2026-11-25T13:30:00Z"),
    ],
    DAY,
  );
  expect(pieces.map((piece) => (piece.to - piece.from) / 60_000)).toEqual([330, 30]);
});

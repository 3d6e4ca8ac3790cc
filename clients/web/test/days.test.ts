import { expect, test } from "vitest";
import { daysPath, lastDay } from "../src/model/days";

const ALICE = "/v1/users/alice";

test("the days up to one are thirty", () => {
  expect(daysPath(ALICE, "2026-11-27")).toBe("/v1/users/alice/summary?since=2026-10-29&until=2026-11-27");
});

test("without a network the newest day is the last of those that were told of this user", () => {
  const paths = ["2026-11-26", "2026-11-27", "2026-11-25"].map((date) => daysPath(ALICE, date));
  const others = [daysPath("/v1/users/bob", "2026-11-28"), "/v1/users/alice/types", "/v1/users/alice/summary"];
  expect(lastDay(ALICE, [...others, ...paths])).toBe("2026-11-27");
  expect(lastDay(ALICE, others)).toBeNull();
});

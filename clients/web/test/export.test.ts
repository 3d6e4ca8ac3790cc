import { expect, test } from "vitest";
import { nextOf } from "../src/api/export";

test("the next page is what the header names, and there is none without it", () => {
  expect(nextOf('</v1/users/a/events?limit=2&cursor=x>; rel="next"')).toBe("/v1/users/a/events?limit=2&cursor=x");
  expect(nextOf(null)).toBeNull();
  expect(nextOf('</x>; rel="prev"')).toBeNull();
});

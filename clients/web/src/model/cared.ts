/** Who lets somebody see something, what, and until when. Pure. */

import type { Grant } from "@healthsync/client";

/** What is let see at a time. */
export function goodAt(grants: readonly Grant[], ms: number): Grant[] {
  return grants.filter((each) => ms < Date.parse(each.until));
}

/** Users of whom what was seen is not to be seen again: they let see nothing more, or something else. */
export function changed(before: readonly Grant[], now: readonly Grant[]): string[] {
  const types = new Map(now.map((each) => [each.user_id, each.types.join(" ")]));
  return before.filter((each) => types.get(each.user_id) !== each.types.join(" ")).map((each) => each.user_id);
}

/** When the first of them ends; null of none. */
export function firstEnd(grants: readonly Grant[]): number | null {
  return grants.length === 0 ? null : Math.min(...grants.map((each) => Date.parse(each.until)));
}

/** Whom somebody may look at besides themselves: as the service says, and without a network as it last said. */

import type { Session } from "@healthsync/client";
import { useEffect, useReducer, useState } from "react";
import { changed, firstEnd, goodAt } from "../model/cared";
import { forgetKeptOf, keepCared, keptCared } from "../offline";
import { forgetAnswersOf } from "./asked";
import { useLooked } from "./looked";

const EVERY_MS = 60_000;
const LONGEST_MS = 2 ** 31 - 1; // of a browser's timer

export interface Whom {
  others: readonly string[];
  /** The one that was chosen last, on this page or one before it; who is no longer among the others is nobody. */
  chosen: string | undefined;
  choose: (whose: string) => void;
}

export function useCared(): Whom {
  const [cared, setCared] = useState(keptCared);
  const [looks, lookAgain] = useReducer((before: number) => before + 1, 0);
  const said = useLooked<Session>("/v1/session", EVERY_MS).data?.grants;
  const good = goodAt(said ?? cared.grants, Date.now());
  const others = good.map((each) => each.user_id);

  // What ends or is taken back is forgotten here, too, with and without a network.
  useEffect(() => {
    const before = keptCared();
    for (const user of changed(before.grants, good)) {
      forgetAnswersOf(user);
      void forgetKeptOf(user);
    }
    keepCared({ ...before, grants: good });
  }, [JSON.stringify(good)]);

  const end = firstEnd(good);
  useEffect(() => {
    if (end === null) return;
    const timer = window.setTimeout(lookAgain, Math.min(end - Date.now(), LONGEST_MS));
    return () => window.clearTimeout(timer);
  }, [end, looks]);

  const choose = (whose: string): void => {
    const next = { grants: good, chosen: whose };
    keepCared(next);
    setCared(next);
  };
  return { others, chosen: others.find((each) => each === cared.chosen), choose };
}

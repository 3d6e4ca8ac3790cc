/** What a part of the page asks for: the last answer at once, the new one when it comes. */

import { useCallback, useEffect, useState } from "react";
import { answersOf, keptPaths } from "../offline";
import { ask } from "./http";

export interface Asked<T> {
  data: T | undefined;
  error: unknown;
  waiting: boolean;
  again: () => void;
}

const MOST_KEPT = 60;
const kept = new Map<string, unknown>();

/** GET `path`, anew when it changes; null asks nothing. */
export function useAsked<T>(path: string | null): Asked<T> {
  const [found, setFound] = useState<{ path: string | null; data?: T; error?: unknown }>({ path: null });
  const [round, setRound] = useState(0);
  useEffect(() => {
    if (path === null) return;
    const stop = new AbortController();
    ask<T>(path, { signal: stop.signal }).then(
      (data) => {
        keep(path, data);
        setFound({ path, data });
      },
      (error: unknown) => {
        if (!stop.signal.aborted) setFound({ path, error });
      },
    );
    return () => stop.abort();
  }, [path, round]);
  const current = found.path === path ? found : { path };
  const known = path === null ? undefined : (kept.get(path) as T | undefined);
  const again = useCallback(() => setRound((before) => before + 1), []);
  return {
    data: "data" in current ? current.data : known,
    error: "error" in current ? current.error : undefined,
    waiting: path !== null && found.path !== path,
    again,
  };
}

/** Forget what was answered: somebody else looks at the page, or the data is other data. */
export function forgetAnswers(): void {
  kept.clear();
}

/** Forget what was answered of one user. */
export function forgetAnswersOf(user: string): void {
  for (const path of kept.keys()) if (path.startsWith(answersOf(user))) kept.delete(path);
}

/** The paths that were answered, here or before this page was opened, whose answers can be had without a network. */
export async function knownPaths(): Promise<string[]> {
  return [...kept.keys(), ...(await keptPaths())];
}

function keep(path: string, data: unknown): void {
  kept.delete(path);
  kept.set(path, data);
  if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value as string);
}

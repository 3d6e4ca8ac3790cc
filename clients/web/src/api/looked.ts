/** What is asked again and again while somebody looks at it. */

import { useEffect } from "react";
import { type Asked, useAsked } from "./asked";

/** GET `path` now and every so many milliseconds; not while the page is hidden. */
export function useLooked<T>(path: string | null, everyMs: number): Asked<T> {
  const asked = useAsked<T>(path);
  const { again } = asked;
  useEffect(() => {
    const timer = window.setInterval(() => {
      if (!document.hidden) again();
    }, everyMs);
    return () => window.clearInterval(timer);
  }, [again, everyMs]);
  return asked;
}

/** How wide a part of the page is, so that pictures are drawn for it and not stretched. */

import { type RefObject, useLayoutEffect, useRef, useState } from "react";

export function useWidth<T extends HTMLElement>(): [RefObject<T | null>, number] {
  const ref = useRef<T>(null);
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const element = ref.current;
    if (element === null) return;
    const watching = new ResizeObserver(([entry]) => setWidth(Math.floor(entry?.contentRect.width ?? 0)));
    watching.observe(element);
    setWidth(Math.floor(element.getBoundingClientRect().width));
    return () => watching.disconnect();
  }, []);
  return [ref, width];
}

/** Where in the app somebody is: the part of the address behind #, so that every place has a link. */

import { useSyncExternalStore } from "react";

export interface Route {
  page: string;
  of: string;
  rest: URLSearchParams;
}

/** `#/day/2026-11-23?x=1` → page day, of 2026-11-23. */
export function routeOf(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const [page = "", ...of] = path.split("/").map(decodeURIComponent);
  return { page, of: of.join("/"), rest: new URLSearchParams(query) };
}

function subscribe(listener: () => void): () => void {
  window.addEventListener("hashchange", listener);
  return () => window.removeEventListener("hashchange", listener);
}

let known = { hash: "\0", route: routeOf("") };

function current(): Route {
  if (known.hash !== location.hash) known = { hash: location.hash, route: routeOf(location.hash) };
  return known.route;
}

export function useRoute(): Route {
  return useSyncExternalStore(subscribe, current);
}

export function go(hash: string): void {
  location.hash = hash;
}

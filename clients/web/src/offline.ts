/**
 * What lets the app open without a network: its service worker, and what is kept of what somebody was shown last. All that
 * is kept is of the session that is open: it goes when that ends, however it ends, and before another one begins.
 */

import type { Grant } from "@healthsync/client";

export const ANSWERS = "healthsync-answers";
const CARED = "healthsync.cared";

/** Whom somebody may look at, as the service last said, and whom they chose last. */
export interface Cared {
  grants: readonly Grant[];
  chosen: string;
}

/** Where the browser does not trust the service's certificate there is no worker, and the app needs the network. */
export async function installWorker(): Promise<void> {
  try {
    await navigator.serviceWorker?.register("/sw.js");
  } catch {
    // said above: it works all the same
  }
}

export function keptCared(): Cared {
  try {
    const kept = JSON.parse(localStorage.getItem(CARED) ?? "null") as Cared | null;
    return { grants: kept?.grants ?? [], chosen: kept?.chosen ?? "" };
  } catch {
    return { grants: [], chosen: "" };
  }
}

export function keepCared(cared: Cared): void {
  localStorage.setItem(CARED, JSON.stringify(cared));
}

/** Forget all that somebody was shown: their session is over, or another one begins. */
export async function forgetKept(): Promise<void> {
  localStorage.removeItem(CARED);
  // Where the browser refuses that, it keeps nothing either.
  if ("caches" in window) await caches.delete(ANSWERS).catch(() => false);
}

/** Forget what was shown of one user. */
export async function forgetKeptOf(user: string): Promise<void> {
  if (!("caches" in window)) return;
  const cache = await caches.open(ANSWERS);
  const of = (await cache.keys()).filter(({ url }) => new URL(url).pathname.startsWith(answersOf(user)));
  await Promise.all(of.map((each) => cache.delete(each, { ignoreVary: true })));
}

/** The questions whose answers are kept. */
export async function keptPaths(): Promise<string[]> {
  if (!("caches" in window)) return [];
  const keys = await caches.open(ANSWERS).then((cache) => cache.keys());
  return keys.map(({ url }) => url.slice(new URL(url).origin.length));
}

/** How the paths of a user's answers begin. */
export function answersOf(user: string): string {
  return `/v1/users/${encodeURIComponent(user)}/`;
}

/** What lets the app open without a network: its service worker, and the answers that it keeps. */

const ANSWERS = "healthsync-answers";

/** Where the browser does not trust the service's certificate there is no worker, and the app needs the network. */
export async function installWorker(): Promise<void> {
  try {
    await navigator.serviceWorker?.register("/sw.js");
  } catch {
    // said above: it works all the same
  }
}

/** Forget what somebody looked at, when they sign out. */
export async function forgetKeptAnswers(): Promise<void> {
  if ("caches" in window) await caches.delete(ANSWERS);
}

/** One at a time over all tabs and the service worker of an origin, by Web Locks. */

/** Waits for the lock of this name, and does `work` while it is held. */
export function exclusivelyInOrigin(name: string): <T>(work: () => Promise<T>, signal?: AbortSignal) => Promise<T> {
  return async (work, signal) => {
    if (!("locks" in navigator)) return work();
    const options: LockOptions = signal ? { signal } : {};
    return (await navigator.locks.request(name, options, async () => ({ done: await work() }))).done;
  };
}

/** The word that a session's changes repeat, as the gateway's cookie has it. */
export function csrfFromCookie(): string | undefined {
  const found = /(?:^|; )__Host-healthsync-csrf=([^;]*)/.exec(document.cookie)?.[1];
  return found === undefined ? undefined : decodeURIComponent(found).replace(/^"(.*)"$/, "$1");
}

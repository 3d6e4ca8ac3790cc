/** Time, as the client sees it; tests pass their own. */
export interface Clock {
  /** Milliseconds since the epoch, by a clock that may be set. */
  now(): number;
  /** Milliseconds that never go back. */
  monotonic(): number;
  /** Resolves after `ms`, or at once when `signal` is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

const LONGEST_MS = 2 ** 31 - 1;

/** The machine's clocks. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => (typeof performance === "undefined" ? Date.now() : performance.now()),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) {
        resolve();
        return;
      }
      const done = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, Math.min(ms, LONGEST_MS));
      signal?.addEventListener("abort", done);
    }),
};

/**
 * Waits between attempts: a random part of first × 2^failures, at most `longestMs`.
 *
 * Half of each wait is fixed and half random, so that ten thousand watches do not come back in the same second and none
 * of them comes back at once.
 */
export class Backoff {
  constructor(
    readonly firstMs = 1_000,
    readonly longestMs = 60_000,
    private readonly random: () => number = Math.random,
  ) {}

  /** Milliseconds to wait after `failures` (1, 2, …) attempts in a row without progress. */
  delay(failures: number): number {
    const ceiling = Math.min(this.longestMs, this.firstMs * 2 ** Math.min(Math.max(failures - 1, 0), 32));
    return ceiling * (0.5 + 0.5 * this.random());
  }

  /** Milliseconds to wait after a refused login: the longest wait, because trying fast cannot help. */
  denied(): number {
    return this.longestMs * (0.5 + 0.5 * this.random());
  }
}

/** Whether `signal` is aborted by now, asked again after a wait. */
export function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

/** Things that happen, counted: whoever saw so many of them waits for the next, and misses none. */
export class Happening {
  private happened = 0;
  private waiters: Array<() => void> = [];

  /** How often it has happened. */
  get count(): number {
    return this.happened;
  }

  /** It happened once more: whoever waits goes on. */
  set(): void {
    this.happened += 1;
    for (const wake of this.waiters.splice(0)) wake();
  }

  /** Resolves when it has happened more often than `seen`, or when `signal` is aborted. */
  after(seen: number, signal?: AbortSignal): Promise<void> {
    if (this.happened > seen || signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        signal?.removeEventListener("abort", wake);
        this.waiters = this.waiters.filter((each) => each !== wake);
        resolve();
      };
      this.waiters.push(wake);
      signal?.addEventListener("abort", wake);
    });
  }
}

/** A service that does what a test says, and a clock that a test turns. */

import {
  type Clock,
  type HealthSyncError,
  type Link,
  type Told,
  type Transport,
  UnavailableError,
} from "@healthsync/client";

export interface SentBatch {
  readonly batch: string;
  readonly ids: readonly string[];
  readonly bytes: number;
}

export type Answerer = (sent: SentBatch, link: number) => Told | HealthSyncError | Promise<Told | HealthSyncError>;

/** A receipt that all of them were stored. */
export function allStored(count: number, seq: number, epoch = "e1"): Told {
  return { epoch, seq, stored: count, duplicate: 0, rejected: [], unlisted: 0 };
}

/** Keeps every batch that it was sent; `answer` says what comes back. */
export class ScriptedTransport implements Transport {
  readonly sent: SentBatch[] = [];
  links = 0;
  /** What the next connections end in, before there is a link. */
  readonly refusals: HealthSyncError[] = [];
  private cut: (error: HealthSyncError) => void = () => undefined;

  constructor(
    private readonly answer: Answerer,
    readonly maxInFlight = 2,
  ) {}

  connect(): Promise<Link> {
    const refusal = this.refusals.shift();
    if (refusal) return Promise.reject(refusal);
    this.links += 1;
    const number = this.links;
    const ended = new Promise<HealthSyncError>((resolve) => (this.cut = resolve));
    return Promise.resolve({
      ended,
      close: () => Promise.resolve(),
      send: async (batch, body) => {
        const { events } = JSON.parse(body) as { events: Array<{ id: string }> };
        const sent = { batch, ids: events.map(({ id }) => id), bytes: new TextEncoder().encode(body).length };
        this.sent.push(sent);
        const said = await this.answer(sent, number);
        if (said instanceof Error) throw said;
        return said;
      },
    });
  }

  /** The network is gone. */
  cutNow(error: HealthSyncError = new UnavailableError("cut")): void {
    this.cut(error);
  }
}

/** Sleeps are over at once, and are kept; time goes on by them. */
export class TurnedClock implements Clock {
  readonly slept: number[] = [];
  time = Date.UTC(2026, 0, 1);

  now(): number {
    return this.time;
  }

  monotonic(): number {
    return this.time;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    if (signal?.aborted) return;
    this.slept.push(ms);
    this.time += ms;
  }
}

/** What a device, an app or a page uses to publish events: hand them over, get back what happened to each one. */

import { Backoff, type Clock, Happening, isAborted, systemClock } from "./clock.js";
import { asError, DeniedError, type HealthSyncError, InputError, StoreError, UnavailableError } from "./errors.js";
import { encodeEvents, type Handed, type HealthEvent } from "./events.js";
import { randomHex } from "./names.js";
import { MemoryOutbox } from "./outbox/memory.js";
import type { Outbox } from "./outbox/port.js";
import type { Result, Results, Settled } from "./receipt.js";
import { Ledger, Sender } from "./sender.js";
import type { Transport } from "./transport.js";

/**
 * - `connecting`
 * - `online`
 * - `waiting`: between attempts, or for another tab that sends from the same outbox
 * - `denied`: the login was refused; the next attempt is a long wait away
 * - `closed`
 */
export type ClientState = "connecting" | "online" | "waiting" | "denied" | "closed";

export interface DeviceClientOptions {
  readonly transport: Transport;
  /** Where events wait; one in memory when it is left out. */
  readonly outbox?: Outbox | undefined;
  /** Events in a batch, 1 to 500. */
  readonly batchSize?: number | undefined;
  readonly backoff?: Backoff | undefined;
  readonly clock?: Clock | undefined;
  /** Do `work` while nobody else who has this outbox does (another tab, the service worker). */
  readonly exclusively?: (<T>(work: () => Promise<T>, signal: AbortSignal) => Promise<T>) | undefined;
  /** Who else has this outbox: the one that sends hears at once of what was handed over, and all hear what became of it. */
  readonly others?: Others | undefined;
}

/** Something that clients of one outbox tell each other. */
export type Shared =
  /** Rows were put; at these keys a batch ends, for what somebody waits for is counted apart. */
  | { readonly put: readonly [] | readonly [first: number, behind: number] }
  /** A receipt settled these. */
  | { readonly settled: Settled };

/** The other clients of the same outbox: other tabs, a service worker. What is told comes to all others that are there. */
export interface Others {
  tell(news: Shared): void;
  /** Call `listener` with what others tell. */
  listen(listener: (news: Shared) => void): void;
  close(): void;
}

/** What changes while a client works. */
export interface ClientNews {
  readonly state: ClientState;
  /** Why it is not online; undefined while it is. */
  readonly lastError: HealthSyncError | undefined;
}

type Row = ReturnType<typeof encodeEvents>[number];

const MAX_BATCH = 500;
const MAX_BYTES = 900_000;

/**
 * One device's link to HealthSync. `start` it, and `close` it at the end.
 *
 * Events handed over stay in the outbox until a receipt settles them, across any number of lost connections; an event
 * delivered twice is a duplicate to the service, never a second reading. When `outbox.capacity` events wait, `publish`
 * and `enqueue` wait too.
 */
export class DeviceClient {
  readonly outbox: Outbox;
  private readonly ledger: Ledger;
  private readonly transport: Transport;
  private readonly backoff: Backoff;
  private readonly clock: Clock;
  private readonly exclusively: NonNullable<DeviceClientOptions["exclusively"]>;
  private readonly others: Others | undefined;
  private readonly batchSize: number;
  private readonly session = randomHex(4);
  private readonly stop = new AbortController();
  private readonly waiters = new Map<number, { readonly call: Call; readonly index: number }>();
  private readonly settled = new Happening();
  private readonly listeners = new Set<(news: ClientNews) => void>();
  private readonly settledListeners = new Set<(results: readonly Result[]) => void>();
  /** Calls at once hand over one after the other: order of arrival decides where a source counts no versions. */
  private turn: Promise<void> = Promise.resolve();
  private woken = new AbortController();
  private running: Promise<void> | undefined;
  private closing: Promise<boolean> | undefined;
  private news: ClientNews = { state: "closed", lastError: undefined };

  constructor(options: DeviceClientOptions) {
    this.batchSize = options.batchSize ?? 100;
    if (!(this.batchSize >= 1 && this.batchSize <= MAX_BATCH)) {
      throw new InputError(`batchSize is 1 to ${MAX_BATCH}, not ${this.batchSize}`);
    }
    this.outbox = options.outbox ?? new MemoryOutbox();
    this.transport = options.transport;
    this.backoff = options.backoff ?? new Backoff();
    this.clock = options.clock ?? systemClock;
    this.exclusively = options.exclusively ?? ((work) => work());
    this.others = options.others;
    const window = { batchSize: this.batchSize, maxInFlight: this.transport.maxInFlight, maxBytes: MAX_BYTES };
    this.ledger = new Ledger(this.outbox, this.clock, window, (settled) => {
      this.others?.tell({ settled });
      this.onSettled(settled);
    });
    this.others?.listen((news) => this.hear(news));
  }

  /** Where the client is now. */
  get state(): ClientState {
    return this.news.state;
  }

  /** Why the client is not online; undefined while it is. */
  get lastError(): HealthSyncError | undefined {
    return this.news.lastError;
  }

  /** Begin to send. It connects when it can; nothing is thrown for what is not there yet. */
  start(): this {
    if (this.stop.signal.aborted) throw new InputError("a DeviceClient is started once", { hint: "make a new one" });
    this.running ??= this.run();
    return this;
  }

  /**
   * Hand over one event or many and wait for their receipts; one result per event, in order.
   *
   * InputError, before anything is handed over, for what cannot be an event at all (no id, over 900 kB). When `signal`
   * is aborted its reason is thrown; events that are in the outbox stay there and are still delivered, and no more are
   * put there. UnavailableError when the client is closed before the receipts came.
   */
  async publish(
    events: HealthEvent | Handed | ReadonlyArray<HealthEvent | Handed>,
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<Results> {
    const rows = encodeEvents(events);
    const call = new Call(rows.map(({ id }) => id));
    const abort = (): void => call.fail(abortReason(options.signal));
    options.signal?.addEventListener("abort", abort);
    if (options.signal?.aborted) abort();
    try {
      await Promise.race([this.handOver(rows, call), call.failed]);
      return await call.finished;
    } finally {
      options.signal?.removeEventListener("abort", abort);
      for (const key of call.keys) this.waiters.delete(key);
    }
  }

  /** Hand over without waiting for receipts; with a durable outbox the events survive a crash from here on. */
  async enqueue(events: HealthEvent | Handed | ReadonlyArray<HealthEvent | Handed>): Promise<void> {
    await this.handOver(encodeEvents(events));
  }

  /**
   * Wait until every event handed over has its receipt, or the client has ended, or `signal` is aborted; whether all have.
   * What the service holds has one, and waits in the outbox to be sent again.
   */
  async drain(signal?: AbortSignal): Promise<boolean> {
    for (;;) {
      const seen = this.settled.count;
      if ((await this.ledger.untold()) === 0) return true;
      if (!this.running || this.stop.signal.aborted || signal?.aborted) return false;
      await this.settled.after(seen, signal);
    }
  }

  /** The network came back, or somebody put events into the outbox: do not wait for the next attempt. */
  wake(): void {
    this.ledger.changed.set();
    this.woken.abort();
  }

  /** Call `listener` whenever the state changes; what is returned ends that. */
  onChange(listener: (news: ClientNews) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Call `listener` with what became of events, whoever handed them over; what is returned ends that. */
  onResults(listener: (results: readonly Result[]) => void): () => void {
    this.settledListeners.add(listener);
    return () => this.settledListeners.delete(listener);
  }

  /** Wait up to `flushMs` for open receipts, and disconnect; whether all was receipted. */
  close(flushMs = 10_000): Promise<boolean> {
    this.closing ??= this.end(flushMs);
    return this.closing;
  }

  private async end(flushMs: number): Promise<boolean> {
    const enough = new AbortController();
    const drained = flushMs > 0 ? this.drain(enough.signal) : Promise.resolve(false);
    await Promise.race([drained, this.clock.sleep(flushMs, enough.signal)]);
    enough.abort();
    this.stop.abort();
    this.woken.abort();
    await this.running;
    const empty = (await this.ledger.untold()) === 0;
    for (const { call } of this.waiters.values()) call.fail(closedError(this.lastError));
    this.waiters.clear();
    this.settled.set();
    this.others?.close();
    await this.outbox.close();
    return empty;
  }

  private handOver(rows: Row[], call?: Call): Promise<void> {
    const mine = this.turn.then(async () => {
      for (let start = 0; start < rows.length && !call?.over; start += this.batchSize) {
        await this.handOverSome(rows.slice(start, start + this.batchSize), call, start);
      }
    });
    this.turn = mine.catch(() => undefined);
    return mine;
  }

  private async handOverSome(rows: Row[], call: Call | undefined, start: number): Promise<void> {
    this.expectOpen();
    for (;;) {
      const seen = this.settled.count;
      if ((await this.outbox.waiting()) + rows.length <= Math.max(this.outbox.capacity, rows.length)) break;
      const room = this.settled.after(seen, this.stop.signal);
      await (call ? Promise.race([room, call.failed]).catch(() => undefined) : room);
      if (call?.over) return;
      this.expectOpen();
    }
    const keys = await this.outbox.put(rows);
    const [first] = keys;
    const last = keys[keys.length - 1];
    if (first === undefined || last === undefined) return;
    if (call) {
      this.ledger.boundaries.add(first).add(last + 1);
      keys.forEach((key, at) => this.waiters.set(key, { call, index: start + at }));
      call.keys.push(...keys);
      if (this.stop.signal.aborted) call.fail(closedError(this.lastError));
    }
    this.others?.tell({ put: call === undefined ? [] : [first, last + 1] });
    this.ledger.changed.set();
  }

  private hear(news: Shared): void {
    if ("settled" in news) {
      this.onSettled(news.settled);
    } else {
      for (const key of news.put) this.ledger.boundaries.add(key);
      this.ledger.changed.set();
    }
  }

  /** Whoever sent before may have ended between a receipt and its word of it: what is gone has been settled. */
  private async failUnknown(): Promise<void> {
    const keys = [...this.waiters.keys()].sort((one, other) => one - other);
    const [first, last] = [keys[0], keys[keys.length - 1]];
    if (first === undefined || last === undefined) return;
    const waiting = new Set((await this.outbox.pending(first - 1, last - first + 1)).map(({ key }) => key));
    for (const key of keys.filter((each) => !waiting.has(each))) {
      this.waiters.get(key)?.call.fail(
        new UnavailableError("another tab sent it, and ended before it said what became of it", {
          reason: "unknown",
          hint: "hand the same over again",
        }),
      );
      this.waiters.delete(key);
    }
  }

  private expectOpen(): void {
    if (this.closing || this.stop.signal.aborted) throw closedError(this.lastError);
  }

  private onSettled(settled: Settled): void {
    const found = settled.entries.map(({ key }) => this.waiters.get(key));
    const calls = new Set(found.map((waiter) => waiter?.call));
    const [only] = calls;
    if (calls.size === 1 && only) only.count(settled);
    settled.entries.forEach(({ key }, at) => {
      this.waiters.delete(key);
      const [waiter, result] = [found[at], settled.results[at]];
      if (waiter && result) waiter.call.settle(waiter.index, result);
    });
    this.settled.set();
    for (const listener of this.settledListeners) listener(settled.results);
  }

  private async run(): Promise<void> {
    const { signal } = this.stop;
    try {
      this.tell("waiting");
      await this.exclusively(() => this.connectAgain(signal), signal);
    } catch (thrown) {
      if (!signal.aborted) this.tell("waiting", asError(thrown));
    } finally {
      this.tell("closed", this.lastError);
      this.settled.set();
    }
  }

  private async connectAgain(signal: AbortSignal): Promise<void> {
    let failures = 0;
    await this.failUnknown();
    while (!signal.aborted) {
      this.tell("connecting", this.lastError);
      let progress = false;
      let error: HealthSyncError | undefined;
      try {
        const link = await this.transport.connect(signal);
        this.tell("online");
        const sender = new Sender(link, this.ledger, `${this.session}-${randomHex(2)}`);
        try {
          error = await sender.run(signal);
        } finally {
          progress = sender.progress;
          await link.close();
        }
      } catch (thrown) {
        error = asError(thrown);
      }
      if (isAborted(signal)) return;
      failures = progress ? 1 : failures + 1;
      const denied = error instanceof DeniedError;
      this.tell(denied ? "denied" : "waiting", error);
      const asked = error instanceof UnavailableError ? error.retryAfterMs : undefined;
      await this.pause(asked ?? (denied ? this.backoff.denied() : this.backoff.delay(failures)));
    }
  }

  private async pause(ms: number): Promise<void> {
    this.woken = new AbortController();
    if (this.stop.signal.aborted) return;
    await this.clock.sleep(ms, this.woken.signal);
  }

  private tell(state: ClientState, lastError?: HealthSyncError): void {
    const changed = state !== this.news.state || lastError !== this.news.lastError;
    this.news = { state, lastError };
    if (changed) for (const listener of this.listeners) listener(this.news);
  }
}

/** One `publish` that waits for its results. */
class Call {
  readonly keys: number[] = [];
  readonly finished: Promise<Results>;
  /** Never resolves; rejects when no more results will come. */
  readonly failed: Promise<never>;
  /** It hands over nothing more. */
  over = false;
  private readonly results: Array<Result | undefined>;
  private open: number;
  private mixedStored = 0;
  private done: (results: Results) => void = () => undefined;
  private reject: (error: unknown) => void = () => undefined;

  constructor(ids: readonly string[]) {
    this.results = ids.map(() => undefined);
    this.open = ids.length;
    this.finished = new Promise((resolve, reject) => {
      this.done = resolve;
      this.reject = reject;
    });
    this.failed = this.finished.then(() => new Promise<never>(() => undefined));
    this.finished.catch(() => undefined); // looked at, so that one that nobody waits for any more leaves no complaint
    this.failed.catch(() => undefined);
    if (!this.open) this.finish();
  }

  /** No more results will come; the first reason counts. */
  fail(error: unknown): void {
    this.over = true;
    this.reject(error);
  }

  /** A receipt was about events of this call alone, so its counts are exact even where results are not. */
  count(settled: Settled): void {
    if (settled.stored && settled.duplicate) this.mixedStored += settled.stored;
  }

  settle(index: number, result: Result): void {
    if (this.results[index] !== undefined) return;
    this.results[index] = result;
    this.open -= 1;
    if (!this.open) this.finish();
  }

  private finish(): void {
    const items = this.results.filter((result) => result !== undefined);
    const rejected = items.filter(({ fate }) => fate === "rejected").length;
    const stored = this.mixedStored + items.filter(({ fate }) => fate === "stored").length;
    this.done({ items, stored, duplicate: items.length - rejected - stored, rejected });
  }
}

function closedError(why: HealthSyncError | undefined): HealthSyncError {
  if (why instanceof DeniedError || why instanceof StoreError) return why;
  return new UnavailableError("the client is closed", {
    reason: "closed",
    hint: "publish between start() and close()",
  });
}

function abortReason(signal: AbortSignal | undefined): unknown {
  return signal?.reason ?? new UnavailableError("given up", { reason: "aborted" });
}

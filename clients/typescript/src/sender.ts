/** One link's work: send what is pending in the outbox, and settle it by what the service says. */

import { type Clock, Happening, isAborted } from "./clock.js";
import { asError, type HealthSyncError, TooLargeError, UnavailableError } from "./errors.js";
import { bytesOf } from "./events.js";
import type { Outbox, OutboxEntry, Position } from "./outbox/port.js";
import { isKept, type Result, settle, type Settled, type Told } from "./receipt.js";
import type { Link } from "./transport.js";

/** How much is on its way at once. `maxBytes` stays below the service's limit of 1 MiB a packet. */
export interface Window {
  readonly batchSize: number;
  readonly maxInFlight: number;
  readonly maxBytes: number;
}

const FRAME_BYTES = 100;
const KEEP_FIRST_MS = 30_000;
const KEEP_MOST_MS = 900_000;
const VAIN = 2;
const OF_BATCHES: ReadonlySet<string> = new Set(["too_many", "too_large", "decompress_limit"]);

interface Postponed {
  readonly times: number;
  readonly at: number;
}

/** What outlives a link: the outbox, and what is known of its rows and of the service's limits. */
export class Ledger {
  /** There may be something to send. */
  readonly changed = new Happening();
  /** Keys at which a batch ends: the events of one call are counted apart. */
  readonly boundaries = new Set<number>();
  /** Events that the service refused for now. */
  readonly kept = new Map<number, Postponed>();
  /** Of them those that it holds, whose callers were told so; oldest first. */
  readonly held = new Set<number>();
  /** The most events in a batch that the service is known to take. */
  most = Infinity;
  /** Bytes of a batch that the service is known to take. */
  room: number;
  private vain = 0;

  constructor(
    readonly outbox: Outbox,
    readonly clock: Clock,
    readonly window: Window,
    readonly onSettled: (settled: Settled) => void,
  ) {
    this.room = window.maxBytes;
  }

  /** Events that wait in the outbox and of which nobody was told anything. */
  async untold(): Promise<number> {
    return (await this.outbox.waiting()) - this.held.size;
  }

  /** Note that the service holds these; returns the oldest, which leave their room in the outbox to others. */
  hold(keys: readonly number[]): number[] {
    for (const key of keys) this.held.add(key);
    const over = [...this.held].slice(0, Math.max(0, this.held.size - Math.floor(this.outbox.capacity / 2)));
    for (const key of over) this.done(key);
    return over;
  }

  /** Forget that this event was refused for now. */
  done(key: number): void {
    this.kept.delete(key);
    this.held.delete(key);
  }

  /** Send this event again, but not at once. */
  keep(key: number): void {
    const times = (this.kept.get(key)?.times ?? 0) + 1;
    const wait = Math.min(KEEP_MOST_MS, KEEP_FIRST_MS * 2 ** Math.min(times - 1, 16));
    this.kept.set(key, { times, at: this.clock.monotonic() + wait });
  }

  /** Whether the time of this event has not come again. */
  heldBack(key: number): boolean {
    return (this.kept.get(key)?.at ?? -Infinity) > this.clock.monotonic();
  }

  /** Send batches of less than so many events. */
  smaller(than: number): void {
    this.most = Math.max(1, Math.floor(Math.min(than, this.most) / 2));
  }

  /** A link is over. One that is cut at each batch may be cut because of its size. */
  ended(sizes: readonly number[], progress: boolean): void {
    this.vain = sizes.length > 0 && !progress ? this.vain + 1 : 0;
    const largest = Math.max(0, ...sizes);
    if (this.vain >= VAIN && largest > 1) {
      this.smaller(largest);
      this.vain = 0;
    }
  }
}

interface Sent {
  readonly entries: readonly OutboxEntry[];
  readonly size: number;
  /** The outbox's position when it left: a log that is behind it has gone back. */
  readonly position: Position | undefined;
  readonly rewinds: number;
  /** How many of the log's epochs the link had seen when it left. */
  readonly epochs: number;
}

/** Sends and settles on one link until it ends; made new for every link. */
export class Sender {
  /** Whether any batch was answered. */
  progress = false;
  private readonly flying = new Set<number>();
  private readonly inFlight = new Set<Sent>();
  private readonly room = new Happening();
  /** The log's epochs, the one that was known before and those that answers showed on this link; newest last. */
  private readonly epochs: string[] = [];
  private cursor = 0;
  private rereads = 0;
  private rewinds = 0;
  private batches = 0;
  private settling: Promise<void> = Promise.resolve();
  private over = false;
  private broke: (error: HealthSyncError) => void = () => undefined;

  constructor(
    private readonly link: Link,
    private readonly ledger: Ledger,
    private readonly session: string,
  ) {}

  /** Work until the link ends, whose reason is returned, or until `signal` is aborted. */
  async run(signal: AbortSignal): Promise<HealthSyncError | undefined> {
    const stop = new AbortController();
    let error: HealthSyncError | undefined;
    const broken = new Promise<void>((resolve) => {
      this.broke = (why) => {
        error ??= why;
        resolve();
      };
    });
    void this.link.ended.then((why) => this.broke(why));
    const stopped = (): void => this.broke(new UnavailableError("the client is closed", { reason: "closed" }));
    signal.addEventListener("abort", stopped);
    if (signal.aborted) stopped();
    const sending = this.send(stop.signal).catch((thrown: unknown) => this.broke(asError(thrown)));
    await broken;
    signal.removeEventListener("abort", stopped);
    stop.abort();
    await sending;
    await this.settling;
    this.over = true; // what is answered later is asked again, and is a duplicate then
    const unanswered = [...this.inFlight].map((sent) => sent.entries.length);
    const answered = error instanceof UnavailableError && error.answered;
    if (!signal.aborted && !answered) this.ledger.ended(unanswered, this.progress);
    return signal.aborted ? undefined : error;
  }

  private async send(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      const seen = this.room.count;
      if (this.inFlight.size >= this.ledger.window.maxInFlight) {
        await this.room.after(seen, stop);
        continue;
      }
      const entries = await this.next(stop);
      if (!entries || isAborted(stop)) return;
      this.batches += 1;
      const batch = `${this.session}-${this.batches}`;
      const body = `{"batch":"${batch}","events":[${entries.map((entry) => entry.payload).join(",")}]}`;
      const position = await this.ledger.outbox.position();
      if (isAborted(stop)) return;
      const sent = { entries, size: bytesOf(body), position, rewinds: this.rewinds, epochs: this.epochs.length };
      this.inFlight.add(sent);
      for (const { key } of entries) this.flying.add(key);
      this.link.send(batch, body).then(
        (told) => this.then(sent, () => this.settle(sent, told)),
        (error: unknown) => {
          if (error instanceof TooLargeError) this.then(sent, () => this.fit(sent, error));
          else this.broke(asError(error));
        },
      );
    }
  }

  /** One at a time, in the order in which the answers came. */
  private then(sent: Sent, work: () => Promise<void>): void {
    if (this.over) return;
    this.settling = this.settling
      .then(work)
      .then(() => {
        this.inFlight.delete(sent);
        for (const { key } of sent.entries) this.flying.delete(key);
        this.progress = true;
        this.room.set();
        this.ledger.changed.set();
      })
      .catch((thrown: unknown) => this.broke(asError(thrown)));
  }

  /** The next events to send; waits for them. Undefined when asked to stop. */
  private async next(stop: AbortSignal): Promise<OutboxEntry[] | undefined> {
    const { ledger } = this;
    while (!stop.aborted) {
      const seen = ledger.changed.count;
      const most = Math.min(ledger.window.batchSize, ledger.most);
      const limit = most + (this.cursor === 0 ? this.flying.size : 0);
      const { rereads } = this;
      const rows = await ledger.outbox.pending(this.cursor, limit);
      if (rereads !== this.rereads) continue; // what was read is not what comes first any more
      const entries = this.batch(rows, most);
      const last = entries[entries.length - 1] ?? rows[rows.length - 1];
      if (last) this.cursor = last.key;
      if (entries.length) return entries;
      if (!rows.length) await this.wake(seen, stop);
    }
    return undefined;
  }

  private batch(rows: readonly OutboxEntry[], most: number): OutboxEntry[] {
    const entries: OutboxEntry[] = [];
    let size = FRAME_BYTES;
    for (const row of rows) {
      if (this.flying.has(row.key) || this.ledger.heldBack(row.key)) continue;
      size += bytesOf(row.payload) + 1;
      const full = entries.length >= most || size > this.ledger.room || this.ledger.boundaries.has(row.key);
      if (entries.length && full) break;
      entries.push(row);
    }
    return entries;
  }

  /** Until something was handed over, or the time of an event has come that was refused for now. */
  private async wake(seen: number, stop: AbortSignal): Promise<void> {
    const { ledger } = this;
    const soonest = Math.min(...[...ledger.kept].filter(([key]) => !this.flying.has(key)).map(([, { at }]) => at));
    if (!Number.isFinite(soonest)) return ledger.changed.after(seen, stop);
    const enough = new AbortController();
    const abort = (): void => enough.abort();
    stop.addEventListener("abort", abort);
    const wait = Math.max(0, soonest - ledger.clock.monotonic());
    await Promise.race([ledger.changed.after(seen, enough.signal), ledger.clock.sleep(wait, enough.signal)]);
    enough.abort();
    stop.removeEventListener("abort", abort);
    if (ledger.clock.monotonic() >= soonest) this.startOver();
  }

  private async settle(sent: Sent, told: Told): Promise<void> {
    const { ledger } = this;
    const { outbox } = ledger;
    if (told.unlisted && sent.entries.length > 1) return this.split(sent);
    const settled = settle(sent.entries, told);
    if (!settled) throw new UnavailableError("the receipt does not fit its batch", { hint: "see: healthsync status" });
    if (batchRefused(settled)) return this.split(sent);
    const known = await outbox.position();
    if (known && !this.epochs.length) this.epochs.push(known.epoch);
    const isOver = this.epochs.slice(0, -1).includes(told.epoch);
    if (isOver && sent.epochs < this.epochs.length) {
      // It left before the newest epoch was seen, and the rows that it was stored in may be those that are lost.
      return this.again(sent);
    }
    const isNew = !this.epochs.includes(told.epoch);
    if (isNew) this.epochs.push(told.epoch);
    const isShorter =
      sent.position?.epoch === told.epoch && told.seq < sent.position.seq && sent.rewinds === this.rewinds;
    let position: Position = { epoch: told.epoch, seq: told.seq };
    if ((isNew && known) || isShorter) {
      // An older log, or another: nothing says how far back it was when it was restored, so every kept row goes
      // again. What it has already comes back as a duplicate.
      await outbox.rewind();
      this.rewinds += 1;
      this.startOver();
    } else if (known && (isOver || (known.epoch === told.epoch && known.seq > told.seq))) {
      position = known;
    }
    const accepted: number[] = [];
    const refused: number[] = [];
    const held: number[] = [];
    settled.entries.forEach(({ key }, index) => {
      const result = settled.results[index] as Result;
      if (isKept(result)) {
        ledger.keep(key);
        if (result.held && !result.retry) held.push(key);
      } else {
        ledger.done(key);
        (result.fate === "rejected" ? refused : accepted).push(key);
      }
    });
    accepted.push(...ledger.hold(held));
    await outbox.acknowledge(accepted, position, ledger.clock.now());
    if (refused.length) await outbox.discard(refused);
    for (const { key } of settled.entries) ledger.boundaries.delete(key);
    ledger.onSettled(final(settled));
  }

  /** What was longer than the service takes goes again in parts; what is too long alone never will be taken. */
  private async fit(sent: Sent, error: TooLargeError): Promise<void> {
    const { ledger } = this;
    const [only, ...others] = sent.entries;
    if (only && !others.length) {
      await ledger.outbox.discard([only.key]);
      ledger.boundaries.delete(only.key);
      ledger.done(only.key);
      const result: Result = { id: only.id, fate: "rejected", reason: "too_large", message: error.message };
      ledger.onSettled({ entries: [only], results: [result], stored: 0, duplicate: 0 });
    } else {
      ledger.room = Math.max(1, Math.min(ledger.room, error.limit ?? Math.floor(sent.size / 2)));
      this.startOver();
    }
  }

  /** The service takes no batch of this size: smaller ones from now on, and these events again. */
  private split(sent: Sent): Promise<void> {
    this.ledger.smaller(sent.entries.length);
    return this.again(sent);
  }

  /** Send these events once more: their batch is over, and nothing was settled by it. */
  private again(sent: Sent): Promise<void> {
    for (const { key } of sent.entries) this.flying.delete(key);
    this.startOver();
    return Promise.resolve();
  }

  /** Read the outbox from its beginning, whatever a reading under way brings. */
  private startOver(): void {
    this.cursor = 0;
    this.rereads += 1;
  }
}

/** Whether a batch was refused for its size, and not its events for what they are. */
function batchRefused(settled: Settled): boolean {
  const [first, ...others] = settled.results;
  if (!first || !others.length || first.reason === undefined || !OF_BATCHES.has(first.reason)) return false;
  return others.every((each) => each.fate === "rejected" && each.reason === first.reason);
}

/** The same without the events that will soon be taken, of which nothing is said until they are. */
function final(settled: Settled): Settled {
  const said = settled.results.map((result) => !result.retry);
  return {
    ...settled,
    entries: settled.entries.filter((_, index) => said[index]),
    results: settled.results.filter((_, index) => said[index]),
  };
}

import {
  KEEP_ACKNOWLEDGED_MS,
  type KeptTime,
  keptTimeAt,
  type Outbox,
  type OutboxEntry,
  type Position,
} from "./port.js";

/** An outbox that lives as long as its process; it keeps the newest `keep` acknowledged rows. */
export class MemoryOutbox implements Outbox {
  private rows = new Map<number, OutboxEntry>();
  private readonly acknowledged = new Map<number, { readonly entry: OutboxEntry; readonly at: number }>();
  private last = 0;
  private at: Position | undefined;
  private time: KeptTime | undefined;

  constructor(
    readonly capacity = 10_000,
    private readonly keep = 10_000,
  ) {}

  put(events: ReadonlyArray<{ readonly id: string; readonly payload: string }>): Promise<number[]> {
    const keys = events.map(({ id, payload }) => {
      this.last += 1;
      this.rows.set(this.last, { key: this.last, id, payload });
      return this.last;
    });
    return Promise.resolve(keys);
  }

  pending(after: number, limit: number): Promise<OutboxEntry[]> {
    const found: OutboxEntry[] = [];
    for (const [key, entry] of this.rows) {
      if (found.length >= limit) break;
      if (key > after) found.push(entry);
    }
    return Promise.resolve(found);
  }

  waiting(): Promise<number> {
    return Promise.resolve(this.rows.size);
  }

  acknowledge(keys: readonly number[], position: Position, now: number): Promise<void> {
    this.time = keptTimeAt(this.time, now);
    for (const key of keys) {
      const entry = this.rows.get(key);
      if (entry && this.rows.delete(key)) this.acknowledged.set(key, { entry, at: this.time.now });
    }
    this.at = position;
    const oldest = this.time.now - KEEP_ACKNOWLEDGED_MS;
    for (const [key, { at }] of this.acknowledged) {
      if (at >= oldest && this.acknowledged.size <= this.keep) break;
      this.acknowledged.delete(key);
    }
    return Promise.resolve();
  }

  discard(keys: readonly number[]): Promise<void> {
    for (const key of keys) this.rows.delete(key);
    return Promise.resolve();
  }

  position(): Promise<Position | undefined> {
    return Promise.resolve(this.at);
  }

  rewind(): Promise<number> {
    const again = [...this.acknowledged].map(([key, { entry }]) => [key, entry] as const);
    this.acknowledged.clear();
    this.rows = new Map([...again, ...this.rows].sort(([one], [other]) => one - other));
    return Promise.resolve(again.length);
  }

  close(): Promise<void> {
    this.rows.clear();
    this.acknowledged.clear();
    return Promise.resolve();
  }
}

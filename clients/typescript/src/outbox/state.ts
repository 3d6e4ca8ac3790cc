/** The rows of an outbox in memory, as a pure value of what was done to it: the same deeds make the same rows. */

import { KEEP_ACKNOWLEDGED_MS, type KeptTime, keptTimeAt, type OutboxEntry, type Position } from "./port.js";

export interface HandedOver {
  readonly id: string;
  readonly payload: string;
}

interface Acknowledged {
  readonly entry: OutboxEntry;
  readonly at: number;
}

export class OutboxState {
  private rows = new Map<number, OutboxEntry>();
  private readonly acknowledged = new Map<number, Acknowledged>();
  private last = 0;
  private time: KeptTime | undefined;
  position: Position | undefined;

  /** It keeps the newest `keep` acknowledged rows. */
  constructor(private readonly keep = Infinity) {}

  get waiting(): number {
    return this.rows.size;
  }

  /** Rows, those that are acknowledged too. */
  get size(): number {
    return this.rows.size + this.acknowledged.size;
  }

  put(events: readonly HandedOver[]): number[] {
    return events.map(({ id, payload }) => {
      this.last += 1;
      this.rows.set(this.last, { key: this.last, id, payload });
      return this.last;
    });
  }

  pending(after: number, limit: number): OutboxEntry[] {
    const found: OutboxEntry[] = [];
    for (const [key, entry] of this.rows) {
      if (found.length >= limit) break;
      if (key > after) found.push(entry);
    }
    return found;
  }

  acknowledge(keys: readonly number[], position: Position, now: number): void {
    this.time = keptTimeAt(this.time, now);
    for (const key of keys) {
      const entry = this.rows.get(key);
      if (!entry) continue;
      this.rows.delete(key);
      this.acknowledged.set(key, { entry, at: this.time.now });
    }
    this.position = position;
    const oldest = this.time.now - KEEP_ACKNOWLEDGED_MS;
    for (const [key, { at }] of this.acknowledged) {
      if (at >= oldest && this.acknowledged.size <= this.keep) break;
      this.acknowledged.delete(key);
    }
  }

  discard(keys: readonly number[]): void {
    for (const key of keys) this.rows.delete(key);
  }

  rewind(): number {
    const again = [...this.acknowledged].map(([key, { entry }]) => [key, entry] as const);
    this.acknowledged.clear();
    if (again.length) this.rows = new Map([...again, ...this.rows].sort(([one], [other]) => one - other));
    return again.length;
  }

  /** Deeds that make the same state of an empty one. */
  *snapshot(): Generator<Deed> {
    yield ["s", this.last, this.position ?? null, this.time ?? null];
    for (const { key, id, payload } of this.rows.values()) yield ["w", key, id, payload];
    for (const { entry, at } of this.acknowledged.values()) yield ["k", entry.key, entry.id, entry.payload, at];
  }

  /** Do what was done once; what came of it. */
  apply(deed: Deed): number[] | number {
    switch (deed[0]) {
      case "p":
        return this.put(deed[1].map(([id, payload]) => ({ id, payload })));
      case "a":
        this.acknowledge(deed[1], deed[2], deed[3]);
        return 0;
      case "d":
        this.discard(deed[1]);
        return 0;
      case "r":
        return this.rewind();
      case "s":
        [this.last, this.position, this.time] = [deed[1], deed[2] ?? undefined, deed[3] ?? undefined];
        return 0;
      case "w":
        this.rows.set(deed[1], { key: deed[1], id: deed[2], payload: deed[3] });
        return 0;
      case "k":
        this.acknowledged.set(deed[1], { entry: { key: deed[1], id: deed[2], payload: deed[3] }, at: deed[4] });
        return 0;
    }
  }
}

/** What was done to an outbox, as a line of a journal: put, acknowledge, discard, rewind; and the parts of a snapshot. */
export type Deed =
  | readonly ["p", ReadonlyArray<readonly [id: string, payload: string]>]
  | readonly ["a", readonly number[], Position, number]
  | readonly ["d", readonly number[]]
  | readonly ["r"]
  | readonly ["s", number, Position | null, KeptTime | null]
  | readonly ["w", number, string, string]
  | readonly ["k", number, string, string, number];

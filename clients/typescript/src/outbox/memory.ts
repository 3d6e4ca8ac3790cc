import type { Outbox, OutboxEntry, Position } from "./port.js";
import { type HandedOver, OutboxState } from "./state.js";

/** An outbox that lives as long as its process; it keeps the newest `keep` acknowledged rows. */
export class MemoryOutbox implements Outbox {
  private readonly state: OutboxState;

  constructor(
    readonly capacity = 10_000,
    keep = 10_000,
  ) {
    this.state = new OutboxState(keep);
  }

  put(events: readonly HandedOver[]): Promise<number[]> {
    return Promise.resolve(this.state.put(events));
  }

  pending(after: number, limit: number): Promise<OutboxEntry[]> {
    return Promise.resolve(this.state.pending(after, limit));
  }

  waiting(): Promise<number> {
    return Promise.resolve(this.state.waiting);
  }

  acknowledge(keys: readonly number[], position: Position, now: number): Promise<void> {
    this.state.acknowledge(keys, position, now);
    return Promise.resolve();
  }

  discard(keys: readonly number[]): Promise<void> {
    this.state.discard(keys);
    return Promise.resolve();
  }

  position(): Promise<Position | undefined> {
    return Promise.resolve(this.state.position);
  }

  rewind(): Promise<number> {
    return Promise.resolve(this.state.rewind());
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

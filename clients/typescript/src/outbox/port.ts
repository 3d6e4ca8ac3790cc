/**
 * Where handed-over events wait for their receipts.
 *
 * The outbox is the only owner of unreceipted events: a connection sends what is pending in it, and forgets its own
 * state when it ends. Rows are numbered in the order they were handed over; the numbers never repeat.
 */

/** How long acknowledged rows are kept for a service that is restored from an older backup. */
export const KEEP_ACKNOWLEDGED_MS = 72 * 3_600_000;
const STEP_MS = 86_400_000;

/** One waiting event: its row, its id and its JSON. */
export interface OutboxEntry {
  readonly key: number;
  readonly id: string;
  readonly payload: string;
}

/** The log that the last receipt came from, and how far it was. */
export interface Position {
  readonly epoch: string;
  readonly seq: number;
}

/**
 * The time that acknowledged rows are kept by: `now`, when the device's clock says `clock`.
 *
 * It goes as that clock does, and nothing between two looks at the clock counts for more than a day, forwards or back: a
 * clock that leaps makes no row old. Of a device that was off for longer, rows are kept longer.
 */
export interface KeptTime {
  readonly now: number;
  readonly clock: number;
}

/** The time when the clock says `clock`. */
export function keptTimeAt(before: KeptTime | undefined, clock: number): KeptTime {
  if (before === undefined) return { now: clock, clock };
  return { now: before.now + Math.max(Math.min(clock - before.clock, STEP_MS), -STEP_MS), clock };
}

/** Durable (or not) waiting room. Each method is atomic; what is wrong with the store is a StoreError. */
export interface Outbox {
  /** How many unreceipted events it takes before `DeviceClient` makes its caller wait. */
  readonly capacity: number;
  /** Append rows and return their keys; durable when it resolves, if the outbox is. */
  put(events: ReadonlyArray<{ readonly id: string; readonly payload: string }>): Promise<number[]>;
  /** The first `limit` unreceipted rows with a key above `after`, in order. */
  pending(after: number, limit: number): Promise<OutboxEntry[]>;
  /** How many rows are unreceipted. */
  waiting(): Promise<number>;
  /** Mark rows as in the log at `position`; they stay for 72 h (`KeptTime`), and older ones go. `now`: the device's clock. */
  acknowledge(keys: readonly number[], position: Position, now: number): Promise<void>;
  /** Forget unreceipted rows that the service rejected. */
  discard(keys: readonly number[]): Promise<void>;
  /** The position of the newest acknowledgement. */
  position(): Promise<Position | undefined>;
  /** Make every acknowledged row that is still here pending again, whatever a clock says now; how many. */
  rewind(): Promise<number>;
  /** Release what it holds; no method is called afterwards. */
  close(): Promise<void>;
}

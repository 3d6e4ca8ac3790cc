/** What became of events: receipts as the service says them, read as the fate of each event. */

import type { Reason } from "./generated.js";
import type { OutboxEntry } from "./outbox/port.js";

/** One event that was not taken. */
export interface RejectedEntry {
  readonly index: number;
  readonly id?: string | null | undefined;
  readonly code: string;
  readonly field?: string | null | undefined;
  readonly message?: string | undefined;
  readonly retry?: boolean | undefined;
  readonly held?: boolean | undefined;
  readonly topic?: string | null | undefined;
  readonly limit?: number | null | undefined;
}

/** What the service says of a batch, however it says it. */
export interface Told {
  readonly epoch: string;
  readonly seq: number;
  readonly stored: number;
  readonly duplicate: number;
  readonly rejected: readonly RejectedEntry[];
  /** How many more were rejected than are listed. */
  readonly unlisted: number;
}

/**
 * - `stored`: the log took the event now
 * - `duplicate`: the log had it before
 * - `accepted`: one of these; the receipt of a batch counts them and does not say which is which
 * - `rejected`: it is quarantined, and not accepted as it is
 */
export type Fate = "stored" | "duplicate" | "accepted" | "rejected";

/** The fate of one event: `id` as it was handed over. */
export interface Result {
  readonly id: string;
  readonly fate: Fate;
  readonly reason?: Reason | (string & {}) | undefined;
  readonly field?: string | undefined;
  readonly message?: string | undefined;
  /** The event may be accepted later as it is: the client keeps it, and says nothing of it yet. */
  readonly retry?: boolean | undefined;
  /**
   * The service took it aside because of its time, and stores it by itself when that has come. It has room for some
   * only, so the client sends it again now and then.
   */
  readonly held?: boolean | undefined;
}

/** One result per event, in the order they were handed over, and the exact counts of the receipts. */
export interface Results {
  readonly items: readonly Result[];
  readonly stored: number;
  readonly duplicate: number;
  readonly rejected: number;
}

/** What a receipt says about one batch; the results stand in the order of the entries. */
export interface Settled {
  readonly entries: readonly OutboxEntry[];
  readonly results: readonly Result[];
  readonly stored: number;
  readonly duplicate: number;
}

/** The fate of each event of a batch; undefined when the counts cannot be about this batch. */
export function settle(entries: readonly OutboxEntry[], told: Told): Settled | undefined {
  const size = entries.length;
  let rejected = new Map(told.rejected.map((each) => [each.index, each]));
  if (!told.stored && !told.duplicate && rejected.size === 1 && size > 1) {
    // The whole delivery was refused (too many events, say): the one reason holds for each event.
    const [whole] = rejected.values();
    if (whole) rejected = new Map(entries.map((_, index) => [index, whole]));
  }
  const beside = [...rejected.keys()].some((index) => index < 0 || index >= size);
  if (beside || told.stored + told.duplicate + rejected.size !== size) return undefined;
  const fate: Fate = told.stored && told.duplicate ? "accepted" : told.stored ? "stored" : "duplicate";
  const results = entries.map((entry, index): Result => {
    const item = rejected.get(index);
    if (!item) return { id: entry.id, fate };
    return {
      id: entry.id,
      fate: "rejected",
      reason: item.code,
      field: item.field ?? undefined,
      message: item.message ?? "",
      retry: item.retry ?? false,
      held: item.held ?? false,
    };
  });
  return { entries, results, stored: told.stored, duplicate: told.duplicate };
}

/** A receipt of the gateway or of the receipts topic; undefined for what is none. */
export function toldBy(said: unknown): Told | undefined {
  const receipt = (typeof said === "object" && said !== null ? said : {}) as Record<string, unknown>;
  const { epoch, seq, rejected } = receipt;
  if (typeof epoch !== "string" || typeof seq !== "number") return undefined;
  return {
    epoch,
    seq,
    stored: count(receipt["stored"]),
    duplicate: count(receipt["duplicate"]),
    rejected: Array.isArray(rejected) ? (rejected as RejectedEntry[]) : [],
    unlisted: count(receipt["unlisted"]),
  };
}

/** It stays in the outbox and is sent again. */
export function isKept(result: Result): boolean {
  return result.retry === true || result.held === true;
}

function count(value: unknown): number {
  return Array.isArray(value) ? value.length : typeof value === "number" ? value : 0;
}

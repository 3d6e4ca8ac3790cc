/** What can go wrong, by who has to act. `reason` is a stable word, `hint` says what to do. */

import type { Problem } from "./generated.js";

export interface ErrorDetail {
  readonly reason?: string | undefined;
  readonly hint?: string | undefined;
  readonly cause?: unknown;
}

/** The root of all errors of this package. */
export class HealthSyncError extends Error {
  readonly reason: string;
  readonly hint: string;

  constructor(message: string, detail: ErrorDetail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    // What makes functions of classes, as an app's build may, has an Error forget which one it is.
    Object.setPrototypeOf(this, new.target.prototype);
    this.name = new.target.name;
    this.reason = detail.reason ?? "error";
    this.hint = detail.hint ?? "";
  }
}

/** What was handed over cannot be an event, a code, a setting. The caller mends it. */
export class InputError extends HealthSyncError {}

/** The credential is no good, or may not do that. Asking again changes nothing. */
export class DeniedError extends HealthSyncError {}

/** It could not be done now: no network, an overloaded or stopping service. Ask again, after `retryAfterMs` if it is there. */
export class UnavailableError extends HealthSyncError {
  readonly retryAfterMs: number | undefined;
  /** The service said so itself: it can be reached, and whatever is in the way is not what was sent. */
  readonly answered: boolean;

  constructor(
    message: string,
    detail: ErrorDetail & { readonly retryAfterMs?: number | undefined; readonly answered?: boolean | undefined } = {},
  ) {
    super(message, { reason: "unavailable", ...detail });
    this.retryAfterMs = detail.retryAfterMs;
    this.answered = detail.answered ?? false;
  }
}

/** A message is longer than the service takes: `limit` bytes, where it said so. */
export class TooLargeError extends HealthSyncError {
  readonly limit: number | undefined;

  constructor(message: string, limit?: number) {
    super(message, { reason: "too_large", hint: "send less at once" });
    this.limit = limit;
  }
}

/** A token of the delta sync is good for nothing any more: begin without one. */
export class SyncTokenError extends HealthSyncError {}

/** What a device keeps cannot be read or written. */
export class StoreError extends HealthSyncError {}

/** Any other refusal of the gateway: the status and what it said (RFC 9457). */
export class ProblemError extends HealthSyncError {
  readonly status: number;
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail, { reason: problem.reason, hint: problem.hint });
    this.status = problem.status;
    this.problem = problem;
  }
}

/** What was thrown, as an error of ours. */
export function asError(thrown: unknown): HealthSyncError {
  if (thrown instanceof HealthSyncError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new UnavailableError(message, { cause: thrown });
}

/** Events as they are handed over, and their JSON. */

import { InputError } from "./errors.js";
import type { EventDevice, EventSource, EventValues } from "./generated.js";
import { newId } from "./names.js";

export type EventType = keyof EventValues;

export interface EventEnvelope {
  readonly id: string;
  readonly start_time: string;
  readonly end_time?: string | null | undefined;
  readonly user_id?: string | number | null | undefined;
  readonly device?: EventDevice | null | undefined;
  readonly source?: EventSource | null | undefined;
  /** Seconds that local time is ahead of UTC. */
  readonly utc_offset?: number | null | undefined;
  readonly version?: number | "latest" | undefined;
}

/** An event of one type with its value. */
export type EventOf<T extends EventType> = EventEnvelope & {
  readonly type: T;
  readonly value: EventValues[T];
  readonly op?: "upsert" | undefined;
};

/** The word that an event is to be forgotten. */
export interface Deletion {
  readonly id: string;
  readonly type: EventType;
  readonly op: "delete";
  readonly version?: number | "latest" | undefined;
  readonly start_time?: string | undefined;
  readonly user_id?: string | number | null | undefined;
}

export type HealthEvent = { [T in EventType]: EventOf<T> }[EventType] | Deletion;

/** Anything with an id may be handed over: what is no event is refused with its reason. */
export interface Handed {
  readonly id: string;
  readonly [name: string]: unknown;
}

/** A new event that was measured just now, or at `more.start_time`; its id is new unless it is given. */
export function measured<T extends EventType>(
  type: T,
  value: EventValues[T],
  more: Partial<EventEnvelope> = {},
): EventOf<T> {
  return { id: newId(), start_time: new Date().toISOString(), ...more, type, value };
}

/** The longest event that is sent, in bytes. */
export const MAX_EVENT = 900_000;

const encoder = new TextEncoder();

/** How many bytes a text has in UTF-8. */
export function bytesOf(text: string): number {
  return encoder.encode(text).length;
}

/** (id, JSON) of each event. InputError names the one that cannot be an event. */
export function encodeEvents(events: object | readonly object[]): Array<{ id: string; payload: string }> {
  const listed: readonly object[] = Array.isArray(events) ? (events as readonly object[]) : [events];
  return listed.map((event, index) => {
    const id: unknown = (event as { id?: unknown }).id;
    if (typeof id !== "string" || id === "") {
      throw new InputError(`event ${index} has no id`, {
        reason: "missing_field",
        hint: "give each event an id that is the same when it is handed over again, such as a UUID kept with it",
      });
    }
    let payload: string | undefined;
    try {
      payload = JSON.stringify(event);
    } catch (error) {
      throw new InputError(`event ${index} (${id}) is not JSON: ${String(error)}`, { reason: "malformed" });
    }
    const size = bytesOf(payload);
    if (size > MAX_EVENT) {
      const message = `event ${index} (${id}) has ${size} bytes; the limit is ${MAX_EVENT}`;
      throw new InputError(message, { reason: "too_large" });
    }
    return { id, payload };
  });
}

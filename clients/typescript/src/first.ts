/** What the first HealthSync's clients called, on this one: `sendEvent`, `fetchEvents`, and their queue. */

import type { DeviceClient } from "./device.js";
import type { Handed } from "./events.js";
import type { HttpApi } from "./http.js";

export interface FirstApi {
  /** Send one event or many, as the first API took them; so many are stored. What cannot be sent now waits in the outbox. */
  sendEvent(events: Handed | readonly Handed[]): Promise<{ received: number }>;
  /** A user's events in the first API's form. */
  fetchEvents(user: string | number): Promise<unknown>;
  /** Hand over without waiting for the network. */
  enqueue(events: Handed | readonly Handed[]): Promise<void>;
  /** Send what waits now; whether all of it is settled. */
  flush(signal?: AbortSignal): Promise<boolean>;
  /** How many events wait. */
  size(): Promise<number>;
}

/** `client` sends, and `api`, called by the same device, reads. */
export function firstApi(api: HttpApi, client: DeviceClient): FirstApi {
  return {
    sendEvent: async (events) => {
      const { stored, duplicate } = await client.publish(events);
      return { received: stored + duplicate };
    },
    fetchEvents: (user) => api.call("GET /events/{user}", { path: { user: String(user) } }),
    enqueue: (events) => client.enqueue(events),
    flush: (signal) => {
      client.wake();
      return client.drain(signal);
    },
    size: () => client.outbox.waiting(),
  };
}

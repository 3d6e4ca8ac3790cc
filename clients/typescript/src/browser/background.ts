/** Sending without a page: a service worker empties the outbox when the browser says that there is a network. */

import type { DeviceClient } from "../device.js";
import { UnavailableError } from "../errors.js";

/** The part of a service worker's scope that is used. */
export interface WorkerScope {
  addEventListener(type: string, listener: (event: WorkerEvent) => void): void;
}

export interface WorkerEvent {
  /** Of a `sync` event: what the page asked for. */
  readonly tag?: string;
  /** Of a `message` event: what a page said. */
  readonly data?: unknown;
  waitUntil?(work: Promise<unknown>): void;
}

/** The part of a registration that has Background Sync, where the browser has it. */
export interface SyncRegistration {
  readonly sync?: { register(tag: string): Promise<void> };
}

export const SYNC_TAG = "healthsync-outbox";
const WITHIN_MS = 120_000;

/**
 * In a service worker: send what waits at each Background Sync, and when a page says `SYNC_TAG`. `make` makes a client
 * of the outbox, one for each time. What could not be sent within `withinMs` stays, and the browser asks again later.
 */
export function sendInBackground(scope: WorkerScope, make: () => DeviceClient, withinMs = WITHIN_MS): void {
  let sending: Promise<void> | undefined;
  const send = (event: WorkerEvent): void => {
    sending ??= emptied(make(), withinMs).finally(() => {
      sending = undefined;
    });
    const work = sending;
    if (event.waitUntil) event.waitUntil(work);
    else work.catch(() => undefined);
  };
  scope.addEventListener("sync", (event) => {
    if (event.tag === SYNC_TAG) send(event);
  });
  scope.addEventListener("message", (event) => {
    if (event.data === SYNC_TAG) send(event);
  });
}

/** In a page, when something was handed over: have the service worker send it, also when the page is closed by then. */
export async function askForBackground(registration: SyncRegistration): Promise<boolean> {
  if (!registration.sync) return false;
  try {
    await registration.sync.register(SYNC_TAG);
    return true;
  } catch {
    return false; // forbidden by the person, or no worker yet: the page sends by itself
  }
}

async function emptied(client: DeviceClient, withinMs: number): Promise<void> {
  client.start();
  if (!(await client.close(withinMs))) throw new UnavailableError("not all could be sent");
}

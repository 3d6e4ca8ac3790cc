/**
 * The part of the service worker that sends what waits when the browser says that there is a network, with no page open
 * (Background Sync). A browser that has never enrolled waits for its page to do it.
 */

import { outboxOf, USER_OF_SYNC } from "../api/sending";

interface SyncEvent extends Event {
  readonly tag: string;
  waitUntil(work: Promise<unknown>): void;
}

const WITHIN_MS = 120_000;

self.addEventListener("sync", (event) => {
  const { tag } = event as SyncEvent;
  const user = USER_OF_SYNC.exec(tag)?.[1];
  if (user !== undefined) (event as SyncEvent).waitUntil(send(user));
});

async function send(user: string): Promise<void> {
  const { store, client } = outboxOf(user);
  if ((await store.load()).credentials === undefined || (await client.outbox.waiting()) === 0) return;
  client.start();
  if (!(await client.close(WITHIN_MS))) throw new Error("not all could be sent"); // the browser tries again later
}

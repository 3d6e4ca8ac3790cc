/** The outbox of a person in this browser, as a page and the service worker open it: one of them sends at a time. */

import {
  anonymous,
  DeviceClient,
  DeviceLogin,
  HttpApi,
  HttpTransport,
  renewOverHttp,
  type Transport,
} from "@healthsync/client";
import {
  exclusivelyInOrigin,
  IndexedDbCredentialStore,
  IndexedDbOutbox,
  othersInOrigin,
} from "@healthsync/client/browser";

export const here = new HttpApi({ baseUrl: "", authorization: anonymous });
export const syncTag = (user: string): string => `healthsync-outbox ${user}`;
export const USER_OF_SYNC = /^healthsync-outbox (.+)$/;

/** HTTP to the gateway that served the page, as the device that this browser is. */
export function transportOf(store: IndexedDbCredentialStore): HttpTransport {
  return new HttpTransport(here.as(new DeviceLogin(store, renewOverHttp(here))));
}

export interface PersonOutbox {
  store: IndexedDbCredentialStore;
  client: DeviceClient;
}

/** `transport` wraps the usual one: a page enrols first where that was not done. */
export function outboxOf(
  user: string,
  transport = transportOf as (store: IndexedDbCredentialStore) => Transport,
): PersonOutbox {
  const store = new IndexedDbCredentialStore(`healthsync-login-${user}`);
  const client = new DeviceClient({
    transport: transport(store),
    outbox: new IndexedDbOutbox({ name: `healthsync-outbox-${user}` }),
    exclusively: exclusivelyInOrigin(`healthsync-sender-${user}`),
    others: othersInOrigin(`healthsync-sender-${user}`),
  });
  return { store, client };
}

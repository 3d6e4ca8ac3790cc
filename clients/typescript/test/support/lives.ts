/** Two lives of a program that has the core, and nothing of Node or a page: it is given entries, and the next one sends them. */

import type * as client from "@healthsync/client";
import type { KeyValueStore } from "@healthsync/client";

export interface Given {
  readonly gateway: string;
  readonly token: string;
  readonly count: number;
  readonly store: KeyValueStore;
}

/** Named as text where a realm of its own reads it: it may use what it is handed, and nothing else. */
export type Life = (core: typeof client, given: Given) => Promise<string>;

export const first: Life = async ({ bearer, DeviceClient, HttpApi, HttpTransport, keyValueOutbox }, given) => {
  const api = new HttpApi({ baseUrl: given.gateway, authorization: bearer(given.token) });
  const outbox = keyValueOutbox(given.store);
  const client = new DeviceClient({ transport: new HttpTransport(api), outbox, batchSize: 25 });
  for (let at = 0; at < given.count; at += 1) {
    const start_time = new Date(Date.UTC(2026, 0, 1, 0, 0, at)).toISOString();
    await client.enqueue([{ id: `bare-${at}`, type: "heart_rate", start_time, value: { bpm: 60 } }]);
  }
  return `${await client.outbox.waiting()} wait`;
};

export const second: Life = async ({ bearer, DeviceClient, HttpApi, HttpTransport, keyValueOutbox }, given) => {
  const api = new HttpApi({ baseUrl: given.gateway, authorization: bearer(given.token) });
  const outbox = keyValueOutbox(given.store);
  const client = new DeviceClient({ transport: new HttpTransport(api), outbox, batchSize: 25 });
  client.start();
  await client.drain();
  const made = await client.publish([
    { id: "made", type: "weight", start_time: "2026-01-01T00:00:00Z", value: { kg: 70 } },
  ]);
  const left = await client.outbox.waiting();
  await client.close(0);
  return `${left} wait, ${made.stored} stored`;
};

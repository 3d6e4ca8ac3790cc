/** Batches over HTTP, where the network goes and comes: how long they are afterwards. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bearer, DeviceClient, type Fetch, HttpApi, HttpTransport, MemoryOutbox } from "@healthsync/client";
import { readings } from "./support/readings.js";
import { TurnedClock } from "./support/scripted.js";

/** What a request ends in: an answer's status, or nothing at all. */
type End = number | "nothing";

class Gateway {
  readonly sizes: number[] = [];
  looks = 0;

  constructor(
    private readonly ofBatch: (size: number, asked: number) => End,
    private readonly ofLook: () => End = () => 200,
  ) {}

  readonly fetch: Fetch = (url, init) => {
    const posted = init.method === "POST";
    const size = posted ? (JSON.parse(init.body as string) as { events: unknown[] }).events.length : 0;
    if (posted) this.sizes.push(size);
    else this.looks += 1;
    assert.ok(posted || url.endsWith("/v1/session/ways"));
    const end = posted ? this.ofBatch(size, this.sizes.length) : this.ofLook();
    if (end === "nothing") return Promise.reject(new TypeError("fetch failed"));
    const told = { epoch: "e1", seq: this.sizes.length, stored: size, duplicate: 0, rejected: [] };
    return Promise.resolve(new Response(JSON.stringify(end === 200 ? told : { detail: "not now" }), { status: end }));
  };
}

async function sent(gateway: Gateway, count: number): Promise<void> {
  const api = new HttpApi({ baseUrl: "http://here", authorization: bearer("t"), fetch: gateway.fetch });
  const outbox = new MemoryOutbox();
  await outbox.put(readings(count).map((each) => ({ id: each.id, payload: JSON.stringify(each) })));
  const client = new DeviceClient({ transport: new HttpTransport(api, 1), outbox, clock: new TurnedClock() });
  assert.equal(await client.start().drain(), true);
  await client.close();
}

describe("batches over HTTP", () => {
  it("are as long as before when the network was away", async () => {
    let tries = 0;
    const gateway = new Gateway(
      () => ((tries += 1) >= 30 ? 200 : "nothing"),
      () => ((tries += 1) >= 30 ? 200 : "nothing"),
    );

    await sent(gateway, 300);

    assert.deepEqual(gateway.sizes, [100, 100, 100, 100]);
    assert.equal(gateway.looks, 29);
  });

  it("are as long as before when the service could not take any", async () => {
    const gateway = new Gateway((_, asked) => (asked > 12 ? 200 : 503));

    await sent(gateway, 300);

    assert.deepEqual(new Set(gateway.sizes), new Set([100]));
    assert.equal(gateway.looks, 0);
  });

  it("are shorter where somebody between cuts long ones", async () => {
    const gateway = new Gateway((size) => (size > 30 ? "nothing" : 200));

    await sent(gateway, 300);

    assert.ok(gateway.sizes.filter((size) => size <= 30).length >= 10);
    assert.equal(gateway.sizes.at(-1), 25);
  });
});

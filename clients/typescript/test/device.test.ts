import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type ClientState,
  DeniedError,
  DeviceClient,
  InputError,
  MemoryOutbox,
  type Told,
  TooLargeError,
  UnavailableError,
} from "@healthsync/client";
import { allStored, ScriptedTransport, TurnedClock } from "./support/scripted.js";
import { readings } from "./support/readings.js";

describe("a device client", () => {
  it("says of each event what became of it, in order, with exact counts", async () => {
    const transport = new ScriptedTransport(({ ids }): Told => ({
      epoch: "e1",
      seq: 3,
      stored: ids.length - 2,
      duplicate: 1,
      rejected: [{ index: 1, id: ids[1], code: "out_of_range", field: "value.bpm", message: "too high" }],
      unlisted: 0,
    }));
    const client = new DeviceClient({ transport }).start();

    const results = await client.publish(readings(4));

    assert.equal(results.stored, 2);
    assert.equal(results.duplicate, 1);
    assert.equal(results.rejected, 1);
    assert.deepEqual(
      results.items.map(({ id, fate }) => [id, fate]),
      [
        ["r-0", "accepted"],
        ["r-1", "rejected"],
        ["r-2", "accepted"],
        ["r-3", "accepted"],
      ],
    );
    assert.equal(results.items[1]?.reason, "out_of_range");
    assert.equal(await client.outbox.waiting(), 0);
    assert.equal(await client.close(), true);
  });

  it("sends again over a new link what was not answered, and settles it once", async () => {
    let answered = 0;
    const clock = new TurnedClock();
    const transport = new ScriptedTransport(({ ids }, link) => {
      if (link < 3) return new UnavailableError("gone");
      answered += ids.length;
      return allStored(ids.length, answered);
    });
    const client = new DeviceClient({ transport, clock, batchSize: 10 }).start();

    const results = await client.publish(readings(25));

    assert.equal(results.stored, 25);
    assert.equal(transport.links, 3);
    assert.equal(answered, 25);
    assert.ok(clock.slept.length >= 2 && clock.slept.every((ms) => ms >= 500));
    await client.close();
  });

  it("waits as long as the service asks", async () => {
    const clock = new TurnedClock();
    const transport = new ScriptedTransport(({ ids }, link) =>
      link === 1 ? new UnavailableError("busy", { retryAfterMs: 12_345 }) : allStored(ids.length, 1),
    );
    const client = new DeviceClient({ transport, clock }).start();

    await client.publish(readings(1));

    assert.deepEqual(clock.slept.slice(0, 1), [12_345]);
    await client.close();
  });

  it("has a long wait after a refused login, says so, and goes on when it is let in", async () => {
    const clock = new TurnedClock();
    const transport = new ScriptedTransport(({ ids }) => allStored(ids.length, 1));
    transport.refusals.push(new DeniedError("no"));
    const states: ClientState[] = [];
    const client = new DeviceClient({ transport, clock });
    client.onChange(({ state }) => states.push(state));
    client.start();

    await client.publish(readings(1));

    assert.ok((clock.slept[0] ?? 0) >= 30_000);
    assert.deepEqual(states.slice(0, 4), ["waiting", "connecting", "denied", "connecting"]);
    assert.equal(client.state, "online");
    assert.equal(client.lastError, undefined);
    await client.close();
  });

  it("halves batches that the service takes for too many, and loses nothing by it", async () => {
    const transport = new ScriptedTransport(({ ids }): Told => {
      if (ids.length <= 3) return allStored(ids.length, 1);
      const rejected = [{ index: 0, code: "too_many", message: "at most 3" }];
      return { epoch: "e1", seq: 0, stored: 0, duplicate: 0, rejected, unlisted: 0 };
    });
    const client = new DeviceClient({ transport, batchSize: 20 }).start();

    const results = await client.publish(readings(20));

    assert.equal(results.stored, 20);
    await client.close();
  });

  it("asks in smaller batches where not every refusal was listed", async () => {
    const transport = new ScriptedTransport(({ ids }): Told => {
      const rejected = ids.slice(0, 2).map((id, index) => ({ index, id, code: "out_of_range" }));
      return { epoch: "e1", seq: 0, stored: 0, duplicate: 0, rejected, unlisted: ids.length - rejected.length };
    });
    const client = new DeviceClient({ transport, batchSize: 16 }).start();

    const results = await client.publish(readings(16));

    assert.equal(results.rejected, 16);
    await client.close();
  });

  it("sends in parts what is longer than the service takes, and tells of what is too long alone", async () => {
    const transport = new ScriptedTransport(({ ids, bytes }) =>
      bytes > 1_000 ? new TooLargeError("too long", 1_000) : allStored(ids.length, 1),
    );
    const client = new DeviceClient({ transport, batchSize: 50 }).start();
    const long = { ...readings(1, "long")[0], id: "long", note: "x".repeat(2_000) };

    const results = await client.publish([...readings(20), long]);

    assert.equal(results.stored, 20);
    assert.deepEqual(
      results.items.filter(({ fate }) => fate === "rejected").map(({ id, reason }) => [id, reason]),
      [["long", "too_large"]],
    );
    assert.ok(transport.sent.filter(({ ids }) => ids.length > 1).length > 2);
    assert.equal(await client.outbox.waiting(), 0);
    await client.close();
  });

  for (const [what, epoch, seq] of [
    ["an older log", "e1", 2],
    ["another log", "e2", 90],
  ] as const) {
    it(`sends every kept row again to ${what}, once`, async () => {
      let restored = false;
      const known = new Set<string>();
      const transport = new ScriptedTransport(({ ids }) => {
        for (const id of ids) known.add(id);
        return restored ? allStored(ids.length, seq + known.size, epoch) : allStored(ids.length, 40 + known.size);
      });
      const client = new DeviceClient({ transport, batchSize: 4 }).start();
      await client.publish(readings(10, "before"));
      restored = true;
      known.clear();

      await client.publish(readings(1, "after"));
      await client.drain();

      assert.equal(known.size, 11);
      const sent = transport.sent.flatMap(({ ids }) => ids);
      assert.equal(sent.filter((id) => id === "before-3").length, 2);
      assert.equal(sent.filter((id) => id === "after-0").length, 1);
      assert.equal((await client.outbox.position())?.epoch, epoch);
      await client.close();
    });
  }

  it("sees each epoch of a log once within one link", async () => {
    let [epoch, seq] = ["e1", 0];
    const transport = new ScriptedTransport(({ ids }) => allStored(ids.length, (seq += ids.length), epoch));
    const client = new DeviceClient({ transport }).start();
    await client.publish(readings(1, "before"));

    for (epoch of ["e2", "e1", "e2", "e1", "e3"]) {
      await client.publish(readings(1, `${epoch}-${seq}`));
      await client.drain();
    }

    const sent = transport.sent.flatMap(({ ids }) => ids);
    assert.equal(sent.filter((id) => id === "before-0").length, 3);
    assert.equal((await client.outbox.position())?.epoch, "e3");
    assert.equal(transport.links, 1);
    await client.close();
  });

  it("sends again what was answered of an epoch that is over", async () => {
    const slow: Array<() => void> = [];
    let epoch = "e1";
    const transport = new ScriptedTransport(async ({ ids }) => {
      const told = allStored(ids.length, 9, epoch);
      if (ids.includes("slow-0") && epoch === "e1") await new Promise<void>((resolve) => slow.push(resolve));
      return told;
    }, 2);
    const client = new DeviceClient({ transport, batchSize: 1 }).start();
    await client.publish(readings(1, "before"));
    const late = client.publish(readings(1, "slow"));
    while (!slow.length) await new Promise((resolve) => setImmediate(resolve));
    epoch = "e2";
    await client.publish(readings(1, "quick"));
    slow[0]?.();

    assert.equal((await late).stored, 1);

    await client.drain();
    const sent = transport.sent.flatMap(({ ids }) => ids);
    assert.equal(sent.filter((id) => id === "slow-0").length, 2);
    assert.deepEqual(await client.outbox.position(), { epoch: "e2", seq: 9 });
    await client.close();
  });

  it("does not take answers that overtook each other for an older log", async () => {
    const slow: Array<() => void> = [];
    let seq = 0;
    const transport = new ScriptedTransport(async ({ ids }) => {
      seq += ids.length;
      const told = allStored(ids.length, seq);
      if (seq === 1) await new Promise<void>((resolve) => slow.push(resolve));
      return told;
    }, 2);
    const client = new DeviceClient({ transport, batchSize: 1 }).start();
    const first = client.publish(readings(1, "first"));
    await client.publish(readings(1, "second"));
    slow[0]?.();
    await first;
    await client.publish(readings(1, "third"));

    assert.deepEqual(
      transport.sent.flatMap(({ ids }) => ids),
      ["first-0", "second-0", "third-0"],
    );
    assert.deepEqual(await client.outbox.position(), { epoch: "e1", seq: 3 });
    await client.close();
  });

  it("keeps what the service holds, says so, and sends it again later", async () => {
    const clock = new TurnedClock();
    let times = 0;
    const transport = new ScriptedTransport(({ ids }): Told => {
      if (!ids.includes("early-0")) return allStored(ids.length, 1);
      times += 1;
      if (times === 3) return allStored(ids.length, 2);
      const rejected = [{ index: 0, id: "early-0", code: "future_time", held: true }];
      return { epoch: "e1", seq: 1, stored: 0, duplicate: 0, rejected, unlisted: 0 };
    });
    const outbox = new MemoryOutbox();
    const client = new DeviceClient({ transport, clock, outbox }).start();

    const results = await client.publish(readings(1, "early"));

    assert.equal(results.items[0]?.held, true);
    assert.equal(await client.drain(), true);
    while ((await outbox.waiting()) > 0) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(times, 3);
    assert.ok(clock.slept.includes(30_000) && clock.slept.includes(60_000));
    await client.close();
  });

  it("says nothing of what it is to try again until it was taken", async () => {
    const clock = new TurnedClock();
    let times = 0;
    const transport = new ScriptedTransport(({ ids }): Told => {
      times += 1;
      if (times > 1) return { epoch: "e1", seq: 2, stored: ids.length, duplicate: 0, rejected: [], unlisted: 0 };
      const rejected = [{ index: 1, id: ids[1], code: "no_consent", retry: true }];
      return { epoch: "e1", seq: 1, stored: 1, duplicate: 0, rejected, unlisted: 0 };
    });
    const client = new DeviceClient({ transport, clock }).start();

    const results = await client.publish(readings(2));

    assert.deepEqual(
      results.items.map(({ fate }) => fate),
      ["stored", "stored"],
    );
    assert.equal(transport.sent[1]?.ids.join(), "r-1");
    await client.close();
  });

  it("lets callers wait where the outbox is full", async () => {
    let open: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (open = resolve));
    const transport = new ScriptedTransport(async ({ ids }) => {
      await gate;
      return allStored(ids.length, 1);
    });
    const outbox = new MemoryOutbox(10);
    const client = new DeviceClient({ transport, outbox, batchSize: 5 }).start();
    await client.enqueue(readings(10));
    let handedOver = false;
    const more = client.enqueue(readings(1, "more")).then(() => (handedOver = true));
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(handedOver, false);

    open();
    await more;

    assert.equal(await client.drain(), true);
    await client.close();
  });

  it("delivers calls at once in their order, and nothing more of one that is given up", async () => {
    let open: () => void = () => undefined;
    const opened = new Promise<void>((resolve) => (open = resolve));
    const transport = new ScriptedTransport(async ({ ids }) => {
      await opened;
      return allStored(ids.length, 1);
    });
    const client = new DeviceClient({ transport, outbox: new MemoryOutbox(6), batchSize: 2 }).start();
    const enough = new AbortController();
    const given = new Error("given up");
    const calls = [
      client.publish(readings(5, "a")),
      client.publish(readings(5, "b"), { signal: enough.signal }),
      client.enqueue(readings(5, "c")),
      client.publish(readings(5, "d")),
    ];
    const refused = assert.rejects(calls[1] ?? Promise.resolve(), given);
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    enough.abort(given);
    await refused;
    calls.push(client.publish(readings(1, "e")));

    open();
    await Promise.all(calls.filter((_, at) => at !== 1));

    assert.equal(await client.drain(), true);
    const order = ["a", "c", "d"].flatMap((call) => readings(5, call)).concat(readings(1, "e"));
    assert.deepEqual(
      transport.sent.flatMap(({ ids }) => ids),
      order.map(({ id }) => id),
    );
    await client.close();
  });

  it("refuses what cannot be an event before anything is handed over", async () => {
    const client = new DeviceClient({
      transport: new ScriptedTransport(({ ids }) => allStored(ids.length, 1)),
    }).start();

    await assert.rejects(client.publish([{ id: "good" }, { id: "" }]), InputError);
    await assert.rejects(client.publish({ id: "long", text: "ä".repeat(450_001) }), { reason: "too_large" });

    assert.equal(await client.outbox.waiting(), 0);
    await client.close();
  });

  it("gives up waiting when asked, and still delivers", async () => {
    let open: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (open = resolve));
    const transport = new ScriptedTransport(async ({ ids }) => {
      await gate;
      return allStored(ids.length, 1);
    });
    const client = new DeviceClient({ transport }).start();
    const enough = new AbortController();
    const waiting = client.publish(readings(1), { signal: enough.signal });
    enough.abort(new Error("enough"));
    await assert.rejects(waiting, enough.signal.reason === undefined ? /given up/ : /enough/); // React Native keeps no reason

    open();

    assert.equal(await client.drain(), true);
    await client.close();
  });

  it("fails calls that wait when it is closed, and keeps their events in the outbox", async () => {
    const transport = new ScriptedTransport(() => new Promise(() => undefined));
    const outbox = new MemoryOutbox();
    const client = new DeviceClient({ transport, outbox }).start();
    const waiting = client.publish(readings(1));
    const refused = assert.rejects(waiting, { reason: "closed" });
    while (!transport.sent.length) await new Promise((resolve) => setImmediate(resolve));

    assert.equal(await client.close(0), false);

    await refused;
    await assert.rejects(client.publish(readings(1)), { reason: "closed" });
  });

  it("is woken out of its wait when the network is back", async () => {
    const transport = new ScriptedTransport(({ ids }, link) =>
      link === 1 ? new UnavailableError("gone", { retryAfterMs: 2 ** 30 }) : allStored(ids.length, 1),
    );
    const client = new DeviceClient({ transport }).start();
    const results = client.publish(readings(1));
    await new Promise<void>((resolve) => client.onChange(({ lastError }) => lastError && resolve()));

    await new Promise((resolve) => setImmediate(resolve));
    client.wake();

    assert.equal((await results).stored, 1);
    await client.close();
  });
});

/** Several tabs and a service worker with one outbox in IndexedDB. */

import assert from "node:assert/strict";
import "fake-indexeddb/auto";
import { describe, it } from "node:test";
import { DeviceClient, UnavailableError } from "@healthsync/client";
import {
  askForBackground,
  IndexedDbOutbox,
  othersInOrigin,
  sendInBackground,
  SYNC_TAG,
  type WorkerEvent,
} from "@healthsync/client/browser";
import { allStored, ScriptedTransport } from "./support/scripted.js";
import { readings } from "./support/readings.js";

let made = 0;

/** One at a time, as Web Locks have it. */
class Turns {
  private last: Promise<unknown> = Promise.resolve();
  readonly exclusively = <T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> => {
    const turn = this.last.then(() => {
      if (signal.aborted) throw new UnavailableError("given up");
      return work();
    });
    this.last = turn.catch(() => undefined);
    return turn;
  };
}

class Origin {
  readonly name = `origin-${(made += 1)}`;
  private readonly turns = new Turns();

  tab(transport: ScriptedTransport): DeviceClient {
    return new DeviceClient({
      transport,
      outbox: new IndexedDbOutbox({ name: this.name }),
      exclusively: this.turns.exclusively,
      others: othersInOrigin(this.name),
    });
  }
}

const answering = (): ScriptedTransport => new ScriptedTransport(({ ids }) => allStored(ids.length, 1));

async function turns(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

describe("tabs with one outbox", () => {
  it("send by one of them, at once, what any of them was given, and each is told what became of its own", async () => {
    const origin = new Origin();
    const transports = [answering(), answering()] as const;
    const [first, second] = [origin.tab(transports[0]).start(), origin.tab(transports[1]).start()];
    await first.publish(readings(1, "before"));

    const results = await Promise.all([second.publish(readings(30, "b")), first.publish(readings(3, "a"))]);

    assert.deepEqual(
      results.map(({ stored }) => stored),
      [30, 3],
    );
    assert.equal(transports[1].sent.length, 0);
    await first.close();
    assert.equal((await second.publish(readings(2, "c"))).stored, 2);
    assert.equal(transports[1].sent.length, 1);
    await second.close();
  });

  it("send in few batches what another was given one by one, and nobody waits for", async () => {
    const origin = new Origin();
    let come: () => void = () => undefined;
    const away = new Promise<void>((resolve) => (come = resolve));
    const transport = new ScriptedTransport(async ({ ids }) => {
      await away;
      return allStored(ids.length, 1);
    });
    const [sender, page] = [origin.tab(transport).start(), origin.tab(answering()).start()];
    for (const each of readings(200)) await page.enqueue(each);

    come();

    assert.equal(await page.drain(), true);
    assert.equal(transport.sent.flatMap(({ ids }) => ids).length, 200);
    assert.ok(transport.sent.length <= 8, `${transport.sent.length} batches`);
    await sender.close();
    await page.close();
  });

  it("say that it is not known where the one that sent ended without a word", async () => {
    const origin = new Origin();
    const [dead, alive] = [new IndexedDbOutbox({ name: origin.name }), origin.tab(answering())];
    let end: () => void = () => undefined;
    const held = (origin as unknown as { turns: Turns }).turns.exclusively(
      () => new Promise<void>((resolve) => (end = resolve)),
      new AbortController().signal,
    );
    alive.start();
    const waiting = alive.publish(readings(1, "x"));
    const refused = assert.rejects(waiting, { reason: "unknown" });
    await turns();
    const [row] = await dead.pending(0, 1);
    await dead.acknowledge([row?.key ?? 0], { epoch: "e1", seq: 1 }, 0);

    end();

    await held;
    await refused;
    assert.equal((await alive.publish(readings(1, "y"))).stored, 1);
    await alive.close();
    await dead.close();
  });
});

describe("a service worker", () => {
  class Scope {
    readonly listeners = new Map<string, (event: WorkerEvent) => void>();
    addEventListener(type: string, listener: (event: WorkerEvent) => void): void {
      this.listeners.set(type, listener);
    }
    async fire(type: string, event: WorkerEvent): Promise<void> {
      const works: Array<Promise<unknown>> = [];
      this.listeners.get(type)?.({ ...event, waitUntil: (work) => works.push(work) });
      await Promise.all(works);
    }
  }

  for (const [type, event] of [
    ["sync", { tag: SYNC_TAG }],
    ["message", { data: SYNC_TAG }],
  ] as const) {
    it(`sends what a page left when a ${type} comes, and fails where it cannot, so that the browser asks again`, async () => {
      const origin = new Origin();
      const page = new IndexedDbOutbox({ name: origin.name });
      await page.put(readings(3).map((each) => ({ id: each.id, payload: JSON.stringify(each) })));
      let reachable = false;
      const transport = new ScriptedTransport(({ ids }) =>
        reachable ? allStored(ids.length, 3) : new UnavailableError("away"),
      );
      const scope = new Scope();
      sendInBackground(scope, () => origin.tab(transport), 50);

      await assert.rejects(scope.fire(type, event), UnavailableError);
      assert.equal(await page.waiting(), 3);
      reachable = true;
      sendInBackground(scope, () => origin.tab(transport));
      await scope.fire(type, event);

      assert.equal(await page.waiting(), 0);
      await scope.fire(type, { tag: "another", data: "another" });
      await page.close();
    });
  }

  it("is asked for where the browser has it", async () => {
    const asked: string[] = [];
    const register = (tag: string): Promise<void> => {
      asked.push(tag);
      return Promise.resolve();
    };

    assert.equal(await askForBackground({ sync: { register } }), true);
    assert.equal(await askForBackground({}), false);
    assert.equal(await askForBackground({ sync: { register: () => Promise.reject(new Error("denied")) } }), false);
    assert.deepEqual(asked, [SYNC_TAG]);
  });
});

/** What every outbox keeps. `open` opens the same one again where `durable`, else a new one. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Outbox } from "@healthsync/client";

const HOUR = 3_600_000;
const AT = { epoch: "e1", seq: 7 };

export function outboxContract(name: string, make: () => () => Promise<Outbox>, durable: boolean): void {
  const rows = (...ids: string[]): Array<{ id: string; payload: string }> =>
    ids.map((id) => ({ id, payload: JSON.stringify({ id, text: "ä\u2028" }) }));

  describe(`outbox: ${name}`, () => {
    it("gives rows back in the order in which they came, with what they were", async () => {
      const outbox = await make()();
      const keys = [...(await outbox.put(rows("a", "b"))), ...(await outbox.put(rows("c")))];

      assert.deepEqual(
        keys,
        [...keys].sort((one, other) => one - other),
      );
      const found = await outbox.pending(0, 10);
      assert.deepEqual(
        found.map(({ id, payload }) => ({ id, payload })),
        rows("a", "b", "c"),
      );
      assert.deepEqual(
        found.map(({ key }) => key),
        keys,
      );
      assert.equal(await outbox.waiting(), 3);
      await outbox.close();
    });

    it("gives at most so many, behind a key", async () => {
      const outbox = await make()();
      const [first = 0] = await outbox.put(rows("a", "b", "c"));

      const found = await outbox.pending(first, 1);

      assert.deepEqual(
        found.map(({ id }) => id),
        ["b"],
      );
      await outbox.close();
    });

    it("forgets nothing that nobody settled, and tells what was settled no more", async () => {
      const outbox = await make()();
      const [a = 0, b = 0] = await outbox.put(rows("a", "b", "c"));
      assert.equal(await outbox.position(), undefined);

      await outbox.acknowledge([a], AT, HOUR);
      await outbox.discard([b]);

      assert.deepEqual(
        (await outbox.pending(0, 10)).map(({ id }) => id),
        ["c"],
      );
      assert.equal(await outbox.waiting(), 1);
      assert.deepEqual(await outbox.position(), AT);
      await outbox.close();
    });

    it("makes what was acknowledged pending again, once, in its old place", async () => {
      const outbox = await make()();
      const [a = 0, b = 0, c = 0] = await outbox.put(rows("a", "b", "c", "d"));
      await outbox.acknowledge([a, c], AT, HOUR);
      await outbox.discard([b]);

      assert.equal(await outbox.rewind(), 2);

      assert.deepEqual(
        (await outbox.pending(0, 10)).map(({ id }) => id),
        ["a", "c", "d"],
      );
      assert.equal(await outbox.waiting(), 3);
      assert.equal(await outbox.rewind(), 0);
      await outbox.close();
    });

    it("keeps acknowledged rows for 72 hours of a clock that goes", async () => {
      const outbox = await make()();
      const [a = 0, b = 0] = await outbox.put(rows("a", "b"));
      await outbox.acknowledge([a], AT, 0);
      for (let hour = 23; hour < 72; hour += 23) await outbox.acknowledge([], AT, hour * HOUR);
      await outbox.acknowledge([b], AT, 72 * HOUR);
      await outbox.acknowledge([], AT, 73 * HOUR);

      assert.equal(await outbox.rewind(), 1);

      assert.deepEqual(
        (await outbox.pending(0, 10)).map(({ id }) => id),
        ["b"],
      );
      await outbox.close();
    });

    it("does not take a clock that leaps for time that went by", async () => {
      const outbox = await make()();
      const [a = 0] = await outbox.put(rows("a"));
      await outbox.acknowledge([a], AT, 0);
      await outbox.acknowledge([], AT, 10_000 * HOUR);
      await outbox.acknowledge([], AT, 0);

      assert.equal(await outbox.rewind(), 1);
      await outbox.close();
    });

    it("settles a row once: what is acknowledged or gone already changes nothing", async () => {
      const outbox = await make()();
      const [a = 0, b = 0] = await outbox.put(rows("a", "b"));
      await outbox.acknowledge([a], AT, HOUR);
      await outbox.acknowledge([a, 999], AT, HOUR);
      await outbox.discard([a, b, b]);

      assert.equal(await outbox.waiting(), 0);
      assert.equal(await outbox.rewind(), 1);
      await outbox.close();
    });

    it("never gives a key twice", async () => {
      const outbox = await make()();
      const [a = 0] = await outbox.put(rows("a"));
      await outbox.discard([a]);
      const [b = 0] = await outbox.put(rows("b"));

      assert.ok(b > a);
      await outbox.close();
    });

    it("takes nothing, and gives nothing, of an empty list", async () => {
      const outbox = await make()();

      assert.deepEqual(await outbox.put([]), []);
      assert.deepEqual(await outbox.pending(0, 10), []);
      assert.equal(await outbox.waiting(), 0);
      await outbox.close();
    });

    if (durable) {
      it("has everything when it is opened again", async () => {
        const open = make();
        const before = await open();
        const [a = 0, b = 0] = await before.put(rows("a", "b", "c"));
        await before.acknowledge([a], AT, HOUR);
        await before.discard([b]);
        await before.close();

        const after = await open();

        assert.deepEqual(
          (await after.pending(0, 10)).map(({ id, payload }) => ({ id, payload })),
          rows("c"),
        );
        assert.deepEqual(await after.position(), AT);
        assert.equal(await after.waiting(), 1);
        const [d = 0] = await after.put(rows("d"));
        assert.ok(d > b);
        assert.equal(await after.rewind(), 1);
        await after.close();
      });
    }
  });
}

import assert from "node:assert/strict";
import "fake-indexeddb/auto";
import { appendFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import {
  type Journal,
  JournaledOutbox,
  keyValueOutbox,
  type KeyValueStore,
  MemoryOutbox,
  StoreError,
} from "@healthsync/client";
import { IndexedDbOutbox } from "@healthsync/client/browser";
import { FileCredentialStore, fileOutbox } from "@healthsync/client/node";
import { outboxContract } from "./support/outbox_contract.js";

let made = 0;
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "healthsync-outbox-"));
});
after(() => rm(folder, { recursive: true }));

const newFile = (): string => join(folder, `outbox-${(made += 1)}`);

/** As AsyncStorage; it fails where a test says so. */
class Texts implements KeyValueStore {
  readonly items = new Map<string, string>();
  /** How many more entries it writes before it is full; whoever is killed there never comes further. */
  left = Infinity;

  getItem(name: string): Promise<string | null> {
    return Promise.resolve(this.items.get(name) ?? null);
  }

  setItem(name: string, text: string): Promise<void> {
    if (this.left <= 0) return Promise.reject(new Error("full"));
    this.left -= 1;
    this.items.set(name, text);
    return Promise.resolve();
  }

  removeItem(name: string): Promise<void> {
    if (this.left <= 0) return Promise.reject(new Error("full"));
    this.items.delete(name);
    return Promise.resolve();
  }
}

outboxContract("memory", () => () => Promise.resolve(new MemoryOutbox()), false);
outboxContract(
  "IndexedDB",
  () => {
    const name = `outbox-${(made += 1)}`;
    return () => Promise.resolve(new IndexedDbOutbox({ name }));
  },
  true,
);
outboxContract(
  "a file",
  () => {
    const path = newFile();
    return () => Promise.resolve(fileOutbox(path));
  },
  true,
);
outboxContract(
  "AsyncStorage",
  () => {
    const texts = new Texts();
    return () => Promise.resolve(keyValueOutbox(texts));
  },
  true,
);

const row = (id: string): { id: string; payload: string } => ({ id, payload: `{"id":"${id}"}` });
const ids = async (outbox: MemoryOutbox | JournaledOutbox): Promise<string[]> =>
  (await outbox.pending(0, 1_000_000)).map(({ id }) => id);

describe("an outbox in a file", () => {
  it("is of mode 0600, and is one process's at a time", async () => {
    const path = newFile();
    const outbox = fileOutbox(path);
    await outbox.put([row("a")]);

    assert.equal((await stat(path)).mode & 0o777, 0o600);
    await assert.rejects(fileOutbox(path).waiting(), StoreError);

    await outbox.close();
    const again = fileOutbox(path);
    assert.deepEqual(await ids(again), ["a"]);
    await again.close();
  });

  for (const holder of [`${process.pid} 1`, "999999999 5", "", "nonsense"]) {
    it(`takes no lock that says "${holder}" for that of a process that runs`, async () => {
      const path = newFile();
      await writeFile(`${path}.lock`, holder);
      const outbox = fileOutbox(path);

      assert.equal(await outbox.waiting(), 0);

      await outbox.close();
      assert.deepEqual(
        (await readdir(folder)).filter((name) => join(folder, name).startsWith(`${path}.`)),
        [],
      );
    });
  }

  it("leaves out what a crash cut in half, and goes on behind the rest", async () => {
    const path = newFile();
    const before = fileOutbox(path);
    await before.put([row("a")]);
    await before.close();
    await appendFile(path, '["p",[["b","{\\"id\\":');

    const cut = fileOutbox(path);
    assert.deepEqual(await ids(cut), ["a"]);
    await cut.put([row("c")]);
    await cut.close();

    const after = fileOutbox(path);
    assert.deepEqual(await ids(after), ["a", "c"]);
    await after.close();
  });

  it("says what is no outbox, and leaves it as it is", async () => {
    const path = newFile();
    await writeFile(path, "something else\n");

    await assert.rejects(fileOutbox(path).waiting(), StoreError);

    assert.equal(await readFile(path, "utf8"), "something else\n");
  });

  it("does not grow with what is settled", async () => {
    const path = newFile();
    const outbox = fileOutbox(path);
    for (let round = 0; round < 30; round += 1) {
      const puts = Array.from({ length: 100 }, (_, at) => outbox.put([row(`r-${round}-${at}`)]));
      await Promise.all((await Promise.all(puts)).map((keys) => outbox.discard(keys)));
    }
    await outbox.put([row("last")]);

    assert.ok((await stat(path)).size < 200_000);
    await outbox.close();
    const again = fileOutbox(path);
    assert.deepEqual(await ids(again), ["last"]);
    const [key = 0] = await again.put([row("next")]);
    assert.equal(key, 3_002);
    await again.close();
  });
});

describe("an outbox in AsyncStorage", () => {
  it("has all that it said it has, wherever it is killed, and nothing twice", async () => {
    const count = 40;
    for (let left = 0; ; left += 1) {
      const texts = new Texts();
      texts.left = left;
      const outbox = new JournaledOutbox(keyValueJournal(texts));
      const promised: string[] = [];
      let whole = true;
      try {
        for (let at = 0; at < count; at += 1) {
          const [key = 0] = await outbox.put([row(`r-${at}`)]);
          promised.push(`r-${at}`);
          if (at % 3 === 0) {
            await outbox.discard([key]);
            promised.pop();
          }
        }
      } catch (error) {
        assert.ok(error instanceof StoreError);
        whole = false;
      }
      texts.left = Infinity;

      const found = await ids(keyValueOutbox(texts));

      assert.equal(new Set(found).size, found.length, `killed after ${left} writes`);
      const surprises = found.filter((id) => !promised.includes(id));
      assert.deepEqual(
        promised.filter((id) => !found.includes(id)),
        [],
        `killed after ${left} writes`,
      );
      assert.ok(surprises.length <= 1); // of whom nobody was told, or whose end nobody was told of
      if (whole) break;
    }
  });

  it("begins anew after a failure, and is whole then", async () => {
    const texts = new Texts();
    const outbox = keyValueOutbox(texts);
    await outbox.put([row("a")]);
    texts.left = 0;
    await assert.rejects(outbox.put([row("b")]), StoreError);
    texts.left = Infinity;

    await outbox.put([row("c")]);

    assert.deepEqual(await ids(outbox), ["a", "c"]);
    assert.deepEqual(await ids(keyValueOutbox(texts)), ["a", "c"]);
  });
});

/** A journal that begins a new generation at every seventh line. */
function keyValueJournal(texts: Texts): Journal {
  const outbox = keyValueOutbox(texts) as unknown as { journal: Journal };
  const { journal } = outbox;
  const kept: string[] = [];
  return {
    open: () => journal.open(),
    close: () => journal.close(),
    replace: (lines) => journal.replace(lines),
    append: async (lines) => {
      kept.push(...lines);
      if (kept.length % 7 === 0) await journal.replace(kept);
      else await journal.append(lines);
    },
  };
}

describe("a login in a file", () => {
  it("is what the Python client writes, and is whole at any time", async () => {
    const path = newFile();
    const store = new FileCredentialStore(path);
    const credentials = { user_id: "u", device_id: "d", client_id: "u-d", username: "u-d", token: "t" };
    assert.deepEqual(await store.load(), {});

    await store.save({ enrolling: "name" });
    assert.deepEqual(await store.load(), { enrolling: "name" });
    await store.save({ credentials });

    assert.deepEqual(JSON.parse(await readFile(path, "utf8")), credentials);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.deepEqual(await store.load(), { credentials });
  });

  it("lets one renew at a time", async () => {
    const path = newFile();
    const [one, other] = [new FileCredentialStore(path), new FileCredentialStore(path)];
    let inside = 0;
    let most = 0;
    const work = async (): Promise<void> => {
      inside += 1;
      most = Math.max(most, inside);
      await new Promise((resolve) => setTimeout(resolve, 5));
      inside -= 1;
    };

    await Promise.all([one, other, one].map((store) => store.exclusively(work)));

    assert.equal(most, 1);
  });
});

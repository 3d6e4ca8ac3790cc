/** An outbox in IndexedDB: what was handed over survives the page, the tab and the browser. */

import {
  KEEP_ACKNOWLEDGED_MS,
  type KeptTime,
  keptTimeAt,
  type Outbox,
  type OutboxEntry,
  type Position,
} from "../outbox/port.js";
import { asked, Database } from "./database.js";

interface Row {
  readonly key?: number;
  readonly id: string;
  readonly payload: string;
  /** 0 while it waits, 1 when it is acknowledged. */
  readonly done: 0 | 1;
  /** When it was acknowledged (`KeptTime`). */
  readonly at?: number;
}

const ROWS = "rows";
const STATE = "state";
const AT_ONCE = 1_000;

export interface IndexedDbOutboxOptions {
  readonly name?: string | undefined;
  readonly capacity?: number | undefined;
  readonly factory?: IDBFactory | undefined;
}

/** May be open in any number of tabs and workers at once; one of them sends at a time (`exclusivelyInOrigin`). */
export class IndexedDbOutbox implements Outbox {
  readonly capacity: number;
  private readonly database: Database;

  constructor(options: IndexedDbOutboxOptions = {}) {
    this.capacity = options.capacity ?? 100_000;
    const upgrade = (database: IDBDatabase): void => {
      const rows = database.createObjectStore(ROWS, { keyPath: "key", autoIncrement: true });
      rows.createIndex("by-done", ["done", "key"]);
      rows.createIndex("by-at", ["done", "at"]);
      database.createObjectStore(STATE);
    };
    this.database = new Database(options.name ?? "healthsync-outbox", 1, upgrade, options.factory);
  }

  put(events: ReadonlyArray<{ readonly id: string; readonly payload: string }>): Promise<number[]> {
    return this.database.transaction([ROWS], "readwrite", (transaction) => {
      const rows = transaction.objectStore(ROWS);
      const added = events.map(({ id, payload }) => rows.add({ id, payload, done: 0 } satisfies Row));
      return Promise.all(added.map(async (request) => await asked<number>(request)));
    });
  }

  pending(after: number, limit: number): Promise<OutboxEntry[]> {
    return this.database.transaction([ROWS], "readonly", async (transaction) => {
      const range = IDBKeyRange.bound([0, after], [0, Infinity], true);
      const found = await asked<Row[]>(transaction.objectStore(ROWS).index("by-done").getAll(range, limit));
      return found.map(({ key = 0, id, payload }) => ({ key, id, payload }));
    });
  }

  waiting(): Promise<number> {
    return this.database.transaction([ROWS], "readonly", (transaction) =>
      asked<number>(
        transaction
          .objectStore(ROWS)
          .index("by-done")
          .count(IDBKeyRange.bound([0, 0], [0, Infinity])),
      ),
    );
  }

  acknowledge(keys: readonly number[], position: Position, now: number): Promise<void> {
    return this.database.transaction([ROWS, STATE], "readwrite", async (transaction) => {
      const [rows, state] = [transaction.objectStore(ROWS), transaction.objectStore(STATE)];
      const time = keptTimeAt(await asked<KeptTime | undefined>(state.get("time")), now);
      state.put(time, "time");
      state.put(position, "position");
      const found = await Promise.all(keys.map((key) => asked<Row | undefined>(rows.get(key))));
      for (const row of found) if (row?.done === 0) rows.put({ ...row, done: 1, at: time.now } satisfies Row);
      const old = IDBKeyRange.bound([1, -Infinity], [1, time.now - KEEP_ACKNOWLEDGED_MS], false, true);
      for (const key of await asked<IDBValidKey[]>(rows.index("by-at").getAllKeys(old, AT_ONCE))) rows.delete(key);
    });
  }

  discard(keys: readonly number[]): Promise<void> {
    return this.database.transaction([ROWS], "readwrite", async (transaction) => {
      const rows = transaction.objectStore(ROWS);
      const found = await Promise.all(keys.map((key) => asked<Row | undefined>(rows.get(key))));
      for (const row of found) if (row?.done === 0 && row.key !== undefined) rows.delete(row.key);
    });
  }

  position(): Promise<Position | undefined> {
    return this.database.transaction([STATE], "readonly", (transaction) =>
      asked<Position | undefined>(transaction.objectStore(STATE).get("position")),
    );
  }

  rewind(): Promise<number> {
    return this.database.transaction([ROWS], "readwrite", async (transaction) => {
      const rows = transaction.objectStore(ROWS);
      const range = IDBKeyRange.bound([1, 0], [1, Infinity]);
      const found = await asked<Row[]>(rows.index("by-done").getAll(range));
      for (const { key, id, payload } of found)
        rows.put({ ...(key === undefined ? {} : { key }), id, payload, done: 0 });
      return found.length;
    });
  }

  close(): Promise<void> {
    return this.database.close();
  }
}

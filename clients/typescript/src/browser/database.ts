/** One IndexedDB database as promises. */

import { StoreError } from "../errors.js";

/** Resolves with what the request brings. */
export function asked<T>(request: IDBRequest): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result as T);
    request.onerror = () => reject(storeError(request.error));
  });
}

/** A database that is opened when it is first used, and again when the browser has closed it. */
export class Database {
  private opening: Promise<IDBDatabase> | undefined;

  constructor(
    private readonly name: string,
    private readonly version: number,
    private readonly upgrade: (database: IDBDatabase, from: number) => void,
    private readonly factory: IDBFactory = indexedDB,
  ) {}

  /** Do `work` in one transaction; resolves when it is durable. StoreError, and nothing of it is done. */
  async transaction<T>(
    stores: readonly string[],
    mode: IDBTransactionMode,
    work: (transaction: IDBTransaction) => Promise<T> | T,
  ): Promise<T> {
    const database = await this.opened();
    let transaction: IDBTransaction;
    try {
      transaction = database.transaction([...stores], mode, { durability: "strict" });
    } catch (error) {
      this.opening = undefined; // the browser has closed it; the next call opens it anew
      throw storeError(error);
    }
    const finished = new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(storeError(transaction.error));
      transaction.onerror = () => reject(storeError(transaction.error));
    });
    finished.catch(() => undefined);
    let result: T;
    try {
      result = await work(transaction);
    } catch (error) {
      try {
        transaction.abort();
      } catch {
        // it has ended already
      }
      throw error instanceof StoreError ? error : storeError(error);
    }
    await finished;
    return result;
  }

  async close(): Promise<void> {
    const opening = this.opening;
    this.opening = undefined;
    (await opening?.catch(() => undefined))?.close();
  }

  private opened(): Promise<IDBDatabase> {
    this.opening ??= this.open().catch((error: unknown) => {
      this.opening = undefined;
      throw error;
    });
    return this.opening;
  }

  private async open(): Promise<IDBDatabase> {
    const request = this.factory.open(this.name, this.version);
    request.onupgradeneeded = ({ oldVersion }) => this.upgrade(request.result, oldVersion);
    const database = await asked<IDBDatabase>(request);
    const gone = (): void => {
      this.opening = undefined;
    };
    database.onclose = gone;
    database.onversionchange = () => {
      gone();
      database.close(); // a newer version of the page is waiting for it
    };
    return database;
  }
}

function storeError(error: unknown): StoreError {
  const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return new StoreError(`the browser's database failed: ${what}`, {
    reason: "store",
    hint: "free disk space; in private windows a browser may keep nothing",
    cause: error,
  });
}

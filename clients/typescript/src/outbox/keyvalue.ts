/** A journal and a login in a store of texts by name, as React Native's AsyncStorage and a page's localStorage are. */

import type { CredentialStore, KeptLogin } from "../credentials.js";
import { StoreError } from "../errors.js";
import { type Journal, JournaledOutbox } from "./journaled.js";

/** The part of AsyncStorage that is used. Each call is atomic. */
export interface KeyValueStore {
  getItem(name: string): Promise<string | null> | string | null;
  setItem(name: string, text: string): Promise<void> | void;
  removeItem(name: string): Promise<void> | void;
}

/** Letters of one entry: Android reads no more than 2 MB at once. */
const LONGEST = 500_000;

/**
 * Lines lie in numbered entries of a generation; the entry `NAME` says which generation holds. A new generation is
 * written beside the old one, and holds from the moment that `NAME` says so.
 */
export class KeyValueJournal implements Journal {
  private generation = 0;
  private next = 0;

  constructor(
    private readonly store: KeyValueStore,
    private readonly name = "healthsync-outbox",
  ) {}

  open(): Promise<string[]> {
    return this.tried("read", async () => {
      this.generation = Number((await this.store.getItem(this.name)) ?? 0);
      await this.remove(this.generation - 1).catch(() => undefined); // it only takes room
      const lines: string[] = [];
      for (this.next = 0; ; this.next += 1) {
        const text = await this.store.getItem(this.entry(this.generation, this.next));
        if (text === null) return lines;
        lines.push(...(JSON.parse(text) as string[]));
      }
    });
  }

  append(lines: readonly string[]): Promise<void> {
    return this.tried("write", async () => {
      await this.store.setItem(this.entry(this.generation, this.next), JSON.stringify(lines));
      this.next += 1;
    });
  }

  replace(lines: Iterable<string>): Promise<void> {
    return this.tried("write", async () => {
      const generation = this.generation + 1;
      await this.remove(generation); // of one that was not finished
      let [part, size, next]: [string[], number, number] = [[], 0, 0];
      const write = async (): Promise<void> => {
        await this.store.setItem(this.entry(generation, next), JSON.stringify(part));
        [part, size, next] = [[], 0, next + 1];
      };
      for (const line of lines) {
        part.push(line);
        size += line.length;
        if (size > LONGEST) await write();
      }
      if (part.length) await write();
      await this.store.setItem(this.name, String(generation));
      [this.generation, this.next] = [generation, next];
      await this.remove(generation - 1).catch(() => undefined);
    });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Remove the entries of a generation, the last one first: what is left has no gap. */
  private async remove(generation: number): Promise<void> {
    let end = 0;
    while ((await this.store.getItem(this.entry(generation, end))) !== null) end += 1;
    for (let at = end - 1; at >= 0; at -= 1) await this.store.removeItem(this.entry(generation, at));
  }

  private entry(generation: number, at: number): string {
    return `${this.name}.${generation}.${at}`;
  }

  private async tried<T>(verb: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const what = error instanceof Error ? error.message : String(error);
      throw new StoreError(`cannot ${verb} the outbox: ${what}`, {
        reason: "store",
        hint: "free space on the device",
        cause: error,
      });
    }
  }
}

/** An outbox in such a store, for one program at a time. */
export function keyValueOutbox(
  store: KeyValueStore,
  options: { name?: string; capacity?: number } = {},
): JournaledOutbox {
  return new JournaledOutbox(new KeyValueJournal(store, options.name), options.capacity);
}

/** A login in such a store; give one that encrypts where the device has one. */
export class KeyValueCredentialStore implements CredentialStore {
  constructor(
    private readonly store: KeyValueStore,
    private readonly name = "healthsync-login",
  ) {}

  async load(): Promise<KeptLogin> {
    const text = await this.store.getItem(this.name);
    return text === null ? {} : (JSON.parse(text) as KeptLogin);
  }

  async save(login: KeptLogin): Promise<void> {
    await this.store.setItem(this.name, JSON.stringify(login));
  }
}

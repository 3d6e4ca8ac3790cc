/** As much of a browser as keeps something: its caches and its storage, as their specifications say. */

import { vi } from "vitest";

type Kept = [url: string, answer: Response];

class MemoryCache {
  rows: Kept[] = [];

  match(url: string): Promise<Response | undefined> {
    return Promise.resolve(this.rows.find(([each]) => each === url)?.[1].clone());
  }

  /** Rejects where the body does; what there was stays then. */
  async put(url: string, answer: Response): Promise<void> {
    const body = await answer.arrayBuffer();
    this.rows = [...this.rows.filter(([each]) => each !== url), [url, new Response(body, answer)]];
  }

  delete(key: string | Request): Promise<boolean> {
    const before = this.rows.length;
    this.rows = this.rows.filter(([each]) => each !== (typeof key === "string" ? key : key.url));
    return Promise.resolve(this.rows.length < before);
  }

  keys(): Promise<Request[]> {
    return Promise.resolve(this.rows.map(([url]) => new Request(url)));
  }
}

/** Whoever has opened one that is deleted goes on with it, and nobody else ever sees that. */
export class MemoryCaches {
  readonly named = new Map<string, MemoryCache>();

  open(name: string): Promise<MemoryCache> {
    const found = this.named.get(name) ?? new MemoryCache();
    this.named.set(name, found);
    return Promise.resolve(found);
  }

  delete(name: string): Promise<boolean> {
    return Promise.resolve(this.named.delete(name));
  }

  urls(): string[] {
    return [...this.named.values()].flatMap((each) => each.rows.map(([url]) => url));
  }
}

export function memoryStorage(): Pick<Storage, "getItem" | "setItem" | "removeItem"> {
  const rows = new Map<string, string>();
  return {
    getItem: (name) => rows.get(name) ?? null,
    setItem: (name, text) => void rows.set(name, text),
    removeItem: (name) => void rows.delete(name),
  };
}

/** A page of a browser that has just been opened. `cookie` is what its scripts see. */
export function openBrowser(cookie = ""): { caches: MemoryCaches; document: { cookie: string } } {
  const caches = new MemoryCaches();
  const document = { cookie };
  const timers = { setTimeout: () => 0, clearTimeout: () => undefined };
  const locks = { request: <T>(_name: string, work: () => Promise<T>) => work() };
  vi.stubGlobal("caches", caches);
  vi.stubGlobal("localStorage", memoryStorage());
  vi.stubGlobal("document", document);
  vi.stubGlobal("navigator", { locks });
  vi.stubGlobal("window", { caches, ...timers });
  return { caches, document };
}

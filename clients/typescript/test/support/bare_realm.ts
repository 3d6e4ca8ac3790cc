/**
 * The core in a realm that has the language and what React Native adds to it, and nothing else: no window, no process,
 * no Buffer, no crypto; signals without a reason, answers without a stream. Run with `--experimental-vm-modules`.
 * `node bare_realm.js GATEWAY TOKEN COUNT` hands entries over in one realm, and sends them from the next.
 */

import { readFile } from "node:fs/promises";
import { createContext, type Module, SourceTextModule } from "node:vm";

const [, , gateway = "", token = "", count = "0"] = process.argv;
const CORE = new URL("../../index.js", import.meta.url);
/** What is left of a program between two of its lives. */
const stored = new Map<string, string>();

type Listener = () => void;

/** As React Native has it: whoever listens is told, and nothing more is known. */
class BareSignal {
  aborted = false;
  readonly listeners = new Set<Listener>();
  addEventListener(_name: string, listener: Listener): void {
    this.listeners.add(listener);
  }
  removeEventListener(_name: string, listener: Listener): void {
    this.listeners.delete(listener);
  }
}

class BareController {
  readonly signal = new BareSignal();
  abort(): void {
    if (this.signal.aborted) return;
    this.signal.aborted = true;
    for (const listener of [...this.signal.listeners]) listener();
  }
}

async function bareFetch(url: string, init: Omit<RequestInit, "signal"> & { signal?: BareSignal } = {}) {
  const { signal, ...rest } = init;
  const stop = new AbortController();
  const told = (): void => stop.abort();
  signal?.addEventListener("abort", told);
  if (signal?.aborted === true) told();
  try {
    const answer = await fetch(url, { ...rest, signal: stop.signal });
    const text = await answer.text();
    const { ok, status, statusText } = answer;
    return {
      ok,
      status,
      statusText,
      headers: answer.headers,
      text: () => Promise.resolve(text),
      json: () => Promise.resolve().then(() => JSON.parse(text) as unknown),
    };
  } finally {
    signal?.removeEventListener("abort", told);
  }
}

/** One life of a program in a realm of its own. */
async function life(program: string): Promise<string> {
  const said: string[] = [];
  const store = {
    getItem: (name: string) => Promise.resolve(stored.get(name) ?? null),
    setItem: (name: string, text: string) => Promise.resolve(void stored.set(name, text)),
    removeItem: (name: string) => Promise.resolve(void stored.delete(name)),
  };
  const context = createContext({
    AbortController: BareController,
    clearTimeout,
    fetch: bareFetch,
    Headers,
    given: { gateway, token, count: Number(count), store, say: (word: unknown) => said.push(String(word)) },
    Response,
    setTimeout,
    TextEncoder,
  });
  const modules = new Map<string, Module>();
  const load = async (url: URL): Promise<Module> => {
    const known = modules.get(url.href);
    if (known !== undefined) return known;
    const made = new SourceTextModule(await readFile(url, "utf8"), { context, identifier: url.href });
    modules.set(url.href, made);
    return made;
  };
  const linker = (name: string, from: Module): Promise<Module> =>
    load(name === "core" ? CORE : new URL(name, from.identifier));
  const main = new SourceTextModule(program, { context, identifier: new URL("main.js", CORE).href });
  await main.link(linker);
  await main.evaluate();
  return said.join(" ");
}

const CLIENT = `
  import { bearer, DeviceClient, HttpApi, HttpTransport, keyValueOutbox } from "core";
  const foreign = ["window", "document", "process", "Buffer", "crypto", "navigator", "require", "structuredClone"];
  given.say(foreign.filter((name) => name in globalThis).length);
  const api = new HttpApi({ baseUrl: given.gateway, authorization: bearer(given.token) });
  const client = new DeviceClient({
    transport: new HttpTransport(api), outbox: keyValueOutbox(given.store), batchSize: 25,
  });
`;

const first = `${CLIENT}
  for (let at = 0; at < given.count; at += 1) {
    const start_time = new Date(Date.UTC(2026, 0, 1, 0, 0, at)).toISOString();
    await client.enqueue({ id: "bare-" + at, type: "heart_rate", start_time, value: { bpm: 60 } });
  }
  given.say(await client.outbox.waiting());
`;
const second = `${CLIENT}
  client.start();
  await client.drain();
  const made = await client.publish([{ id: "made", type: "weight", start_time: "2026-01-01T00:00:00Z", value: { kg: 70 } }]);
  given.say(await client.outbox.waiting());
  given.say(made.stored);
  await client.close(0);
`;

console.log(JSON.stringify([await life(first), await life(second)]));

/**
 * The core in a realm that has the language and what React Native adds to it, and nothing else: no window, no process,
 * no Buffer, no crypto; signals without a reason, answers without a stream. Run with `--experimental-vm-modules`.
 * `node bare_realm.js GATEWAY TOKEN COUNT` hands entries over in one realm, and sends them from the next.
 */

import { readFile } from "node:fs/promises";
import { createContext, type Module, SourceTextModule } from "node:vm";
import { first, second } from "./lives.js";

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

const FOREIGN = ["window", "document", "process", "Buffer", "crypto", "navigator", "require", "structuredClone"];
const lives = [first, second].map(
  (each) => `
    import * as core from "core";
    given.say(${JSON.stringify(FOREIGN)}.filter((name) => name in globalThis).length);
    given.say(await (${String(each)})(core, given));
  `,
);

const told: string[] = [];
for (const each of lives) told.push(await life(each));
console.log(JSON.stringify(told));

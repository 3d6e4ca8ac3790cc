/** What runs in Hermes: the tests of the core that need no service, and the two lives of a program that has one. */

import "./realm.js";
import "whatwg-fetch";
import * as core from "@healthsync/client";
import { first, second } from "../support/lives.js";
import { outboxContract } from "../support/outbox_contract.js";
import "../device.test.js";
import { ask, asked, lend } from "./host.js";
import { outcomes } from "./runner.js";

class Texts implements core.KeyValueStore {
  private readonly texts = new Map<string, string>();

  getItem(name: string): Promise<string | null> {
    return Promise.resolve(this.texts.get(name) ?? null);
  }

  setItem(name: string, text: string): Promise<void> {
    this.texts.set(name, text);
    return Promise.resolve();
  }

  removeItem(name: string): Promise<void> {
    this.texts.delete(name);
    return Promise.resolve();
  }
}

outboxContract("memory", () => () => Promise.resolve(new core.MemoryOutbox()), false);
outboxContract(
  "AsyncStorage",
  () => {
    const texts = new Texts();
    return () => Promise.resolve(core.keyValueOutbox(texts));
  },
  true,
);

/** Storage that the host has, over the ends of programs. */
const store: core.KeyValueStore = {
  getItem: async (name) => (await asked("getItem", { name })) as string | null,
  setItem: async (name, text) => {
    await asked("setItem", { name, text });
  },
  removeItem: async (name) => {
    await asked("removeItem", { name });
  },
};

interface Asked {
  readonly gateway: string;
  readonly token: string;
  readonly count: number;
}

const works = {
  tests: outcomes,
  first: (given: Asked) => first(core, { ...given, store }),
  second: (given: Asked) => second(core, { ...given, store }),
};

lend("begin", (work: keyof typeof works, given: Asked) => {
  works[work](given).then(
    (result) => ask("done", { result }),
    (error: unknown) =>
      ask("failed", { why: error instanceof Error ? `${error.message}\n${error.stack ?? ""}` : error }),
  );
});

/**
 * What this browser sends: it is a device of the person, which enrols when it first has something to send. Entries lie in
 * IndexedDB until the service has said what became of each; nothing of it depends on this page staying open.
 */

import {
  DeniedError,
  type DeviceClient,
  enroll,
  type Handed,
  type HttpTransport,
  type Link,
  randomHex,
  type Result,
  type Transport,
  UnavailableError,
} from "@healthsync/client";
import type { IndexedDbCredentialStore } from "@healthsync/client/browser";
import { ask, Refusal } from "./http";
import { here, outboxOf, syncTag, transportOf } from "./sending";

export interface Sending {
  /** Entries that no receipt has settled. */
  waiting: number;
  state: "idle" | "sending" | "away" | "denied";
  why: string;
}

export class BrowserOutbox {
  private readonly store: IndexedDbCredentialStore;
  private readonly client: DeviceClient;
  private readonly watchers = new Set<() => void>();
  private readonly takers = new Set<(results: readonly Result[]) => void>();
  private now: Sending = { waiting: 0, state: "idle", why: "" };

  constructor(private readonly user: string) {
    const { store, client } = outboxOf(user, (kept) => this.transport(kept));
    this.store = store;
    this.client = client;
  }

  /** Send what waits, from now on. What is returned ends that; entries stay. */
  start(): () => void {
    void navigator.storage?.persist?.();
    this.client.start();
    const wake = (): void => this.client.wake();
    const stops = [
      this.client.onChange(() => void this.look()),
      this.client.onResults((results) => {
        void this.look();
        for (const taker of this.takers) taker(results);
      }),
    ];
    window.addEventListener("online", wake);
    document.addEventListener("visibilitychange", wake);
    void this.look();
    return () => {
      window.removeEventListener("online", wake);
      document.removeEventListener("visibilitychange", wake);
      for (const stop of stops) stop();
      void this.client.close(0);
    };
  }

  /** Hand over entries: once this resolves they are on disk, and are sent whatever becomes of the page. */
  async add(entries: readonly Handed[]): Promise<void> {
    await this.client.enqueue(entries);
    await this.look();
    void this.sendLater();
  }

  /** Have the service worker send what waits when there is a network, where the browser has that, also without a page. */
  private async sendLater(): Promise<void> {
    const worker = await navigator.serviceWorker?.getRegistration();
    const { sync } = (worker ?? {}) as { sync?: { register(tag: string): Promise<void> } };
    await sync?.register(syncTag(this.user)).catch(() => undefined); // forbidden by the person: the page sends
  }

  /** Enrol anew: this device was removed, or its login is no good any more. */
  async enrolAgain(): Promise<void> {
    await this.store.clear();
    localStorage.removeItem(this.nameKey);
    this.client.wake();
  }

  get = (): Sending => this.now;

  watch = (watcher: () => void): (() => void) => {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  };

  onResults(taker: (results: readonly Result[]) => void): () => void {
    this.takers.add(taker);
    return () => this.takers.delete(taker);
  }

  private async look(): Promise<void> {
    const waiting = await this.client.outbox.waiting().catch(() => this.now.waiting);
    const { state, lastError } = this.client;
    const told = state === "denied" ? "denied" : waiting === 0 ? "idle" : state === "online" ? "sending" : "away";
    if (told === this.now.state && waiting === this.now.waiting) return;
    this.now = { waiting, state: told, why: lastError?.message ?? "" };
    for (const watcher of this.watchers) watcher();
  }

  /** The same after enrolling, where that was not done yet. */
  private transport(store: IndexedDbCredentialStore): Transport {
    let made: HttpTransport | undefined;
    return {
      maxInFlight: 2,
      connect: async (signal): Promise<Link> => {
        // Without anything to send nothing is registered: a look is no device.
        await this.something(signal);
        if ((await store.load()).credentials === undefined) {
          await this.enrol();
          made = undefined;
        }
        made ??= transportOf(store);
        return await made.connect(signal);
      },
    };
  }

  private async something(signal: AbortSignal): Promise<void> {
    while ((await this.client.outbox.waiting()) === 0) {
      await new Promise<void>((resolve, reject) => {
        const timer = window.setTimeout(resolve, 60_000);
        const stop = this.watch(() => resolve());
        signal.addEventListener("abort", () => {
          window.clearTimeout(timer);
          stop();
          reject(new UnavailableError("closed", { reason: "closed" }));
        });
      });
    }
  }

  private get nameKey(): string {
    return `healthsync.device.${this.user}`;
  }

  private async enrol(): Promise<void> {
    const name = localStorage.getItem(this.nameKey) ?? `web-${randomHex(4)}`;
    localStorage.setItem(this.nameKey, name);
    const path = `/v1/users/${encodeURIComponent(this.user)}/devices/${name}/enrolment`;
    let code: string;
    try {
      code = (await ask<{ code: string }>(path, { method: "POST" })).code;
    } catch (error) {
      if (error instanceof Refusal && error.status < 500 && error.status !== 429) {
        throw new DeniedError(error.message, { reason: error.reason, hint: error.hint });
      }
      throw new UnavailableError("the service cannot be reached", { cause: error });
    }
    await enroll(here, code, { store: this.store });
  }
}

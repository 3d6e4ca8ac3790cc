/** An outbox that writes down what is done to it, and does the same again when it is opened. */

import { StoreError } from "../errors.js";
import type { Outbox, OutboxEntry, Position } from "./port.js";
import { type Deed, type HandedOver, OutboxState } from "./state.js";

/** Where lines are kept. One outbox has it open at a time. */
export interface Journal {
  /** All lines, in order, but for those of an `append` that did not come to its end. StoreError. */
  open(): Promise<string[]>;
  /** Write all of them or none; durable when it resolves. StoreError: it is not known whether they are there. */
  append(lines: readonly string[]): Promise<void>;
  /** Have these lines instead of all others, or keep the others; durable when it resolves. StoreError. */
  replace(lines: Iterable<string>): Promise<void>;
  close(): Promise<void>;
}

interface Waiting {
  readonly deed: Deed;
  readonly resolve: (came: number[] | number) => void;
  readonly reject: (error: unknown) => void;
}

const LEAST_GARBAGE = 1_000;

/** What is done at once is written at once, so that many callers share one wait for the disk. */
export class JournaledOutbox implements Outbox {
  private readonly state = new OutboxState();
  private opening: Promise<void> | undefined;
  private queue: Waiting[] = [];
  private writing: Promise<void> | undefined;
  /** Lines of the journal. */
  private lines = 0;
  /** A write failed: what the journal has is not known any more. */
  private failed: unknown;

  constructor(
    private readonly journal: Journal,
    readonly capacity = 100_000,
  ) {}

  async put(events: readonly HandedOver[]): Promise<number[]> {
    if (!events.length) return [];
    return (await this.done(["p", events.map(({ id, payload }) => [id, payload] as const)])) as number[];
  }

  async pending(after: number, limit: number): Promise<OutboxEntry[]> {
    await this.opened();
    return this.state.pending(after, limit);
  }

  async waiting(): Promise<number> {
    await this.opened();
    return this.state.waiting;
  }

  async acknowledge(keys: readonly number[], position: Position, now: number): Promise<void> {
    await this.done(["a", keys, position, now]);
  }

  async discard(keys: readonly number[]): Promise<void> {
    if (keys.length) await this.done(["d", keys]);
  }

  async position(): Promise<Position | undefined> {
    await this.opened();
    return this.state.position;
  }

  async rewind(): Promise<number> {
    return (await this.done(["r"])) as number;
  }

  async close(): Promise<void> {
    await this.writing;
    if (!this.opening) return;
    await this.opening.catch(() => undefined);
    await this.journal.close();
  }

  private opened(): Promise<void> {
    this.opening ??= this.open();
    return this.opening;
  }

  private async open(): Promise<void> {
    const lines = await this.journal.open();
    this.lines = lines.length;
    try {
      for (const line of lines) this.state.apply(JSON.parse(line) as Deed);
    } catch (error) {
      await this.journal.close();
      const detail = { reason: "store", hint: "move it away to begin anew", cause: error };
      throw new StoreError("the outbox cannot be read", detail);
    }
  }

  private async done(deed: Deed): Promise<number[] | number> {
    await this.opened();
    return new Promise((resolve, reject) => {
      this.queue.push({ deed, resolve, reject });
      this.writing ??= this.write().finally(() => {
        this.writing = undefined;
      });
    });
  }

  private async write(): Promise<void> {
    while (this.queue.length) {
      const together = this.queue.splice(0);
      try {
        if (this.failed !== undefined) await this.begunAnew();
        await this.journal.append(together.map(({ deed }) => JSON.stringify(deed)));
      } catch (error) {
        this.failed = error;
        for (const { reject } of together) reject(error);
        continue;
      }
      this.lines += together.length;
      for (const { deed, resolve } of together) resolve(this.state.apply(deed));
      if (this.lines > LEAST_GARBAGE + 2 * this.state.size)
        await this.begunAnew().catch((error: unknown) => (this.failed = error));
    }
  }

  /** Write down the state alone: what led to it is needed no more. */
  private async begunAnew(): Promise<void> {
    let lines = 0;
    const { state } = this;
    function* counted(): Generator<string> {
      for (const deed of state.snapshot()) {
        lines += 1;
        yield JSON.stringify(deed);
      }
    }
    await this.journal.replace(counted());
    this.failed = undefined;
    this.lines = lines;
  }
}

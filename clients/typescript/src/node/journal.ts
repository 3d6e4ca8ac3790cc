/** A journal in one file, for one process at a time: a line a deed, on disk when the deed is done. */

import { type FileHandle, open, readdir, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { StoreError } from "../errors.js";
import { type Journal, JournaledOutbox } from "../outbox/journaled.js";
import { ProcessLock, storeError, syncDirectory, writeDurably } from "./files.js";

const NEWLINE = 10;
const PART = 1_000;

export class FileJournal implements Journal {
  private readonly lock: ProcessLock;
  private file: FileHandle | undefined;
  private length = 0;

  constructor(private readonly path: string) {
    this.lock = new ProcessLock(path);
  }

  async open(): Promise<string[]> {
    try {
      if (!(await this.lock.take())) {
        throw new StoreError(`another process has the outbox ${this.path}`, {
          reason: "store",
          hint: "an outbox is for one process",
        });
      }
      await this.removeLeftovers();
      this.file = await open(this.path, "a+", 0o600);
      await syncDirectory(dirname(this.path));
      const bytes = await this.file.readFile();
      this.length = bytes.lastIndexOf(NEWLINE) + 1;
      // Behind the last newline is what a crash left of a write that nobody was told of.
      if (this.length < bytes.length) await this.file.truncate(this.length);
      return bytes.subarray(0, this.length).toString("utf8").split("\n").slice(0, -1);
    } catch (error) {
      throw storeError("open", this.path, error);
    }
  }

  async append(lines: readonly string[]): Promise<void> {
    const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(""));
    try {
      const file = this.opened();
      await file.appendFile(bytes);
      await file.datasync();
      this.length += bytes.length;
    } catch (error) {
      throw storeError("write", this.path, error);
    }
  }

  async replace(lines: Iterable<string>): Promise<void> {
    try {
      await writeDurably(this.path, async (file) => {
        let part: string[] = [];
        for (const line of lines) {
          part.push(`${line}\n`);
          if (part.length < PART) continue;
          await file.appendFile(part.join(""));
          part = [];
        }
        await file.appendFile(part.join(""));
      });
      const before = this.file;
      this.file = await open(this.path, "a+", 0o600);
      this.length = (await this.file.stat()).size;
      await before?.close();
    } catch (error) {
      throw storeError("write", this.path, error);
    }
  }

  async close(): Promise<void> {
    const { file } = this;
    this.file = undefined;
    if (!file) return;
    await file.close();
    await this.lock.release();
  }

  private opened(): FileHandle {
    if (!this.file) throw new StoreError(`the outbox ${this.path} is closed`, { reason: "store" });
    return this.file;
  }

  /** Files of a `replace` that was killed. */
  private async removeLeftovers(): Promise<void> {
    const [folder, name] = [dirname(this.path), basename(this.path)];
    for (const each of await readdir(folder)) {
      if (each.startsWith(`${name}.`) && each.endsWith(".new")) await rm(join(folder, each), { force: true });
    }
  }
}

/** An outbox in one file of mode 0600: what was handed over survives a kill and a power cut. */
export function fileOutbox(path: string, capacity = 100_000): JournaledOutbox {
  return new JournaledOutbox(new FileJournal(path), capacity);
}

/** Files that are whole after a crash, and that one process has at a time. */

import { randomBytes } from "node:crypto";
import { type FileHandle, link, mkdir, open, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { StoreError } from "../errors.js";

/** Put a file of mode 0600 in the place of whatever is there; on disk when it resolves. */
export async function writeDurably(path: string, write: (file: FileHandle) => Promise<unknown>): Promise<void> {
  const beside = `${path}.${randomBytes(4).toString("hex")}.new`;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  try {
    const file = await open(beside, "wx", 0o600);
    try {
      await write(file);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
  await syncDirectory(dirname(path));
}

/** Make what was renamed or made in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Locks that this process has. */
const held = new Set<string>();

/**
 * A file beside `path` that says which process has it. One of a process that is gone counts for nothing, also where
 * another one got its number (in a container each run has the same).
 */
export class ProcessLock {
  private readonly path: string;

  constructor(path: string) {
    this.path = resolve(`${path}.lock`);
  }

  /** Whether it is ours now. */
  async take(): Promise<boolean> {
    if (held.has(this.path)) return false;
    held.add(this.path);
    try {
      await mkdir(dirname(this.path), { recursive: true, mode: 0o700 });
      while (!(await this.written())) {
        const holder = await readFile(this.path, "utf8").catch(() => "");
        if (await isRunning(holder)) {
          held.delete(this.path);
          return false;
        }
        await this.removeOf(holder);
      }
      return true;
    } catch (error) {
      held.delete(this.path);
      throw error;
    }
  }

  async release(): Promise<void> {
    await rm(this.path, { force: true });
    held.delete(this.path);
  }

  private async written(): Promise<boolean> {
    // Linked into its place, so that nobody ever reads one that is written in half.
    const beside = `${this.path}.${process.pid}`;
    await writeFile(beside, `${process.pid} ${await beginning(process.pid)}`, { mode: 0o600 });
    try {
      await link(beside, this.path);
      return true;
    } catch (error) {
      if (codeOf(error) === "EEXIST") return false;
      throw error;
    } finally {
      await rm(beside, { force: true });
    }
  }

  /** Take away what a process left that is gone; another one may be doing the same, and have it already. */
  private async removeOf(holder: string): Promise<void> {
    const aside = `${this.path}.${process.pid}.old`;
    try {
      await rename(this.path, aside);
    } catch (error) {
      if (codeOf(error) === "ENOENT") return;
      throw error;
    }
    if ((await readFile(aside, "utf8")) !== holder) await link(aside, this.path).catch(() => undefined);
    await rm(aside, { force: true });
  }
}

async function isRunning(holder: string): Promise<boolean> {
  const [word = "", began = ""] = holder.split(" ");
  const pid = Number(word);
  if (!(pid > 0)) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (codeOf(error) !== "EPERM") return false;
  }
  return (await beginning(pid)) === began;
}

/** When a process began, as Linux counts it; the same text for all where nobody says. */
async function beginning(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}

export function codeOf(error: unknown): unknown {
  return (error as { code?: unknown }).code;
}

export function storeError(verb: string, path: string, error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const what = error instanceof Error ? error.message : String(error);
  return new StoreError(`cannot ${verb} ${path}: ${what}`, {
    reason: "store",
    hint: "free disk space, or name another file",
    cause: error,
  });
}

/** A device's login in one file of mode 0600, which the Python client reads, too. */

import { readFile } from "node:fs/promises";
import { type CredentialStore, type KeptLogin, credentialsFrom } from "../credentials.js";
import { UnavailableError } from "../errors.js";
import { codeOf, ProcessLock, storeError, writeDurably } from "./files.js";

const TRY_EVERY_MS = 100;
const LONGEST_MS = 60_000;

export class FileCredentialStore implements CredentialStore {
  private readonly lock: ProcessLock;
  private working: Promise<unknown> = Promise.resolve();

  constructor(private readonly path: string) {
    this.lock = new ProcessLock(path);
  }

  async load(): Promise<KeptLogin> {
    try {
      const said = JSON.parse(await readFile(this.path, "utf8")) as Record<string, unknown>;
      const { enrolling, ...values } = said;
      return {
        ...(Object.keys(values).length ? { credentials: credentialsFrom(values) } : {}),
        ...(typeof enrolling === "string" ? { enrolling } : {}),
      };
    } catch (error) {
      if (codeOf(error) === "ENOENT") return {};
      throw storeError("read", this.path, error);
    }
  }

  async save({ credentials, enrolling }: KeptLogin): Promise<void> {
    const text = JSON.stringify({ ...credentials, ...(enrolling === undefined ? {} : { enrolling }) });
    try {
      await writeDurably(this.path, (file) => file.writeFile(`${text}\n`));
    } catch (error) {
      throw storeError("write", this.path, error);
    }
  }

  exclusively<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.working.then(() => this.locked(work));
    this.working = turn.catch(() => undefined);
    return turn;
  }

  private async locked<T>(work: () => Promise<T>): Promise<T> {
    for (let waited = 0; !(await this.lock.take()); waited += TRY_EVERY_MS) {
      if (waited > LONGEST_MS) throw new UnavailableError(`another process renews ${this.path}`);
      await new Promise((resolve) => setTimeout(resolve, TRY_EVERY_MS));
    }
    try {
      return await work();
    } finally {
      await this.lock.release();
    }
  }
}

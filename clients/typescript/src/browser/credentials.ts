/** A device's login in IndexedDB. Scripts of this origin can read it; no other origin's can. */

import type { CredentialStore, KeptLogin } from "../credentials.js";
import { asked, Database } from "./database.js";
import { exclusivelyInOrigin } from "./locks.js";

const LOGIN = "login";

export class IndexedDbCredentialStore implements CredentialStore {
  readonly exclusively: NonNullable<CredentialStore["exclusively"]>;
  private readonly database: Database;

  constructor(name = "healthsync-login", factory?: IDBFactory) {
    this.database = new Database(name, 1, (database) => database.createObjectStore(LOGIN), factory);
    this.exclusively = exclusivelyInOrigin(`${name}.renewal`);
  }

  async load(): Promise<KeptLogin> {
    const kept = await this.database.transaction([LOGIN], "readonly", (transaction) =>
      asked<KeptLogin | undefined>(transaction.objectStore(LOGIN).get(LOGIN)),
    );
    return kept ?? {};
  }

  save(login: KeptLogin): Promise<void> {
    return this.database.transaction([LOGIN], "readwrite", async (transaction) => {
      await asked(transaction.objectStore(LOGIN).put(login, LOGIN));
    });
  }

  /** Forget the login of this device. */
  clear(): Promise<void> {
    return this.save({});
  }
}

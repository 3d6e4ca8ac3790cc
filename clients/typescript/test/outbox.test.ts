import "fake-indexeddb/auto";
import { IndexedDbOutbox } from "@healthsync/client/browser";
import { MemoryOutbox } from "@healthsync/client";
import { outboxContract } from "./support/outbox_contract.js";

let made = 0;

outboxContract("memory", () => () => Promise.resolve(new MemoryOutbox()), false);
outboxContract(
  "IndexedDB",
  () => {
    const name = `outbox-${(made += 1)}`;
    return () => Promise.resolve(new IndexedDbOutbox({ name }));
  },
  true,
);

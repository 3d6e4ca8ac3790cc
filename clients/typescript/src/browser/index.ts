/** What browsers add: the outbox in IndexedDB, locks between tabs, the word of a session, background sync. */

export * from "./background.js";
export * from "./credentials.js";
export * from "./indexeddb.js";
export * from "./locks.js";
export * from "./others.js";

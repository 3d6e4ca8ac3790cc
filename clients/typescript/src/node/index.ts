/** What Node adds: the outbox and the login as files. */

export { FileCredentialStore } from "./credentials.js";
export { FileJournal, fileOutbox } from "./journal.js";

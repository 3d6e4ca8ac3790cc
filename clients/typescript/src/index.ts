/** The core: no DOM, no dependency. Node, browsers and React Native have what it uses: `fetch`, `crypto`, timers. */

export * from "./clock.js";
export * from "./credentials.js";
export * from "./device.js";
export * from "./errors.js";
export * from "./events.js";
export * from "./first.js";
export type * from "./generated.js";
export { TOPICS } from "./generated.js";
export * from "./http.js";
export * from "./names.js";
export * from "./outbox/journaled.js";
export * from "./outbox/keyvalue.js";
export * from "./outbox/memory.js";
export * from "./outbox/port.js";
export * from "./reading.js";
export * from "./receipt.js";
export * from "./session.js";
export * from "./transport.js";

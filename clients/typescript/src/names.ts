/** Random names, and topics. */

import { TOPICS } from "./generated.js";

/** `bytes` random bytes as hexadecimal digits. */
export function randomHex(bytes: number): string {
  const values = new Uint8Array(bytes);
  if (typeof crypto !== "undefined") crypto.getRandomValues(values);
  else for (let at = 0; at < bytes; at += 1) values[at] = Math.floor(Math.random() * 256); // names only, nothing secret
  return Array.from(values, (value) => value.toString(16).padStart(2, "0")).join("");
}

/** A new id for an event: one that nobody has used, to be kept with the event. */
export function newId(): string {
  return randomHex(16);
}

/** The topic of that name, with its variables filled in. */
export function topic(name: keyof typeof TOPICS, values: Readonly<Record<string, string>>): string {
  return TOPICS[name].replace(/\{(\w+)\}/g, (_, variable: string) => values[variable] ?? "");
}

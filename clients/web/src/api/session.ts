/** Who is signed in. The session's cookies are renewed before they are over, by one tab at a time. */

import { forgetKept } from "../offline";
import { ask, CSRF_COOKIE, csrfWord, Refusal } from "./http";

export interface Person {
  role: "user" | "admin";
  name: string;
  expires_at: string;
}

export type Session =
  { state: "asking" } | { state: "nobody" } | { state: "away" } | { state: "person"; person: Person };

const KEPT = "healthsync.session";
const EARLY_MS = 300_000;

type Listener = () => void;

let now: Session = { state: "asking" };
let timer = 0;
const listeners = new Set<Listener>();

export const session = {
  get: (): Session => now,
  subscribe(listener: Listener): () => void {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },

  /** Whoever signs out or in on one page does so on all. */
  follow(): void {
    window.addEventListener("storage", ({ key }) => {
      if (key === KEPT || key === null) void session.begin();
    });
  },

  /** Find out who it is. Without the cookie of a session nothing is asked. */
  async begin(): Promise<void> {
    if (csrfWord() === "") return await forget();
    const kept = keptPerson();
    try {
      if (kept !== null && Date.parse(kept.expires_at) - Date.now() > EARLY_MS) return await signedIn(kept);
      await signedIn(await renewed());
    } catch (error) {
      if (error instanceof Refusal && error.status < 500 && error.status !== 429) return await forget();
      // Offline: whoever was signed in is, and may add what is sent later.
      become(kept === null ? { state: "away" } : { state: "person", person: kept });
      window.clearTimeout(timer);
      timer = window.setTimeout(() => void session.begin(), 15_000);
    }
  },

  /** Somebody has come in on this page, by cookies that the answer has set. */
  async begun(person: Person): Promise<void> {
    await signedIn(person);
  },

  async end(): Promise<void> {
    await ask("/v1/session", { method: "DELETE" });
    await session.over();
  },

  /** The service has ended it: forget here what was kept of it. */
  async over(): Promise<void> {
    document.cookie = `${CSRF_COOKIE}; Max-Age=0; Path=/; Secure; SameSite=Strict`;
    await forget();
  },
};

function keptPerson(): Person | null {
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT) ?? "null") as (Person & { csrf: string }) | null;
    return kept?.csrf === csrfWord() ? kept : null;
  } catch {
    return null;
  }
}

async function renewed(): Promise<Person> {
  return await navigator.locks.request("healthsync.session", async () => {
    const kept = keptPerson();
    if (kept !== null && Date.parse(kept.expires_at) - Date.now() > EARLY_MS) return kept;
    return await ask<Person>("/v1/session/refresh", { method: "POST" });
  });
}

async function signedIn(person: Person): Promise<void> {
  const { role, name, expires_at } = person;
  // What was shown in another session, be it of the same person, is not for this one.
  if (keptPerson() === null) await forgetKept();
  localStorage.setItem(KEPT, JSON.stringify({ role, name, expires_at, csrf: csrfWord() }));
  window.clearTimeout(timer);
  const wait = Date.parse(expires_at) - Date.now() - EARLY_MS + 1_000;
  // A clock that is far behind makes it longer than timers can be, which then are none.
  timer = window.setTimeout(() => void session.begin(), Math.min(Math.max(wait, 5_000), 86_400_000));
  if (now.state !== "person" || now.person.name !== name || now.person.role !== role) {
    become({ state: "person", person: { role, name, expires_at } });
  }
}

async function forget(): Promise<void> {
  localStorage.removeItem(KEPT);
  window.clearTimeout(timer);
  await forgetKept();
  become({ state: "nobody" });
}

function become(next: Session): void {
  now = next;
  for (const listener of listeners) listener();
}

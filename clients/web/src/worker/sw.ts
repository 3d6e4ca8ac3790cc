/**
 * The service worker: the app opens without a network, and shows what it showed last. build/finish.mjs puts the files of
 * this build and its name in.
 */

import { isKept, newest } from "./answers";
import "./sending";

declare const __FILES__: readonly string[];
declare const __BUILD__: string;

interface Extendable extends Event {
  waitUntil(work: Promise<unknown>): void;
}

interface Fetching extends Extendable {
  readonly request: Request;
  respondWith(answer: Promise<Response>): void;
}

interface Worker {
  readonly clients: { claim(): Promise<void> };
  addEventListener(name: "install" | "activate", told: (event: Extendable) => void): void;
  addEventListener(name: "fetch", told: (event: Fetching) => void): void;
}

const FILES = __FILES__;
const SHELL = `healthsync-shell-${__BUILD__}`;
const worker = self as unknown as Worker;

worker.addEventListener("install", (event) => {
  event.waitUntil(caches.open(SHELL).then((cache) => cache.addAll([...FILES])));
});

// The pages of an older build are closed when this begins: their files are needed no more.
worker.addEventListener("activate", (event) => {
  const cleaned = caches.keys().then((names) => {
    const old = names.filter((name) => name.startsWith("healthsync-shell-") && name !== SHELL);
    return Promise.all(old.map((name) => caches.delete(name)));
  });
  event.waitUntil(cleaned.then(() => worker.clients.claim()));
});

worker.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== location.origin) return;
  if (FILES.includes(url.pathname)) event.respondWith(ofShell(url.pathname, event.request));
  else if (isKept(url.pathname)) event.respondWith(newest(event.request, (work) => event.waitUntil(work)));
});

async function ofShell(path: string, request: Request): Promise<Response> {
  const cache = await caches.open(SHELL);
  return (await cache.match(path)) ?? fetch(request);
}

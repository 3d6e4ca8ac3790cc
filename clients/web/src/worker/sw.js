// The service worker: the app opens without a network, and shows what it showed last. Built by build/finish.mjs, which
// puts the files of this build and its name in.

const FILES = __FILES__;
const SHELL = "healthsync-shell-__BUILD__";
const ANSWERS = "healthsync-answers";
const MOST_ANSWERS = 120;
// What a person looks at; sessions, secrets and what changes something are never kept.
const KEPT = /^\/v1\/(catalogue$|users\/[^/]+\/(types|summary|series|events|insights|consents|carers)$)/;

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(SHELL).then((cache) => cache.addAll(FILES)));
});

// The pages of an older build are closed when this begins: their files are needed no more.
self.addEventListener("activate", (event) => {
  const cleaned = caches.keys().then((names) => {
    const old = names.filter((name) => name.startsWith("healthsync-shell-") && name !== SHELL);
    return Promise.all(old.map((name) => caches.delete(name)));
  });
  event.waitUntil(cleaned.then(() => self.clients.claim()));
});

self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== self.location.origin) return;
  if (FILES.includes(url.pathname)) event.respondWith(ofShell(url.pathname, event.request));
  else if (KEPT.test(url.pathname)) event.respondWith(newest(event));
});

async function ofShell(path, request) {
  const cache = await caches.open(SHELL);
  return (await cache.match(path)) ?? fetch(request);
}

/** The service's answer, or the last one where it cannot be reached. */
async function newest(event) {
  const cache = await caches.open(ANSWERS);
  try {
    const answer = await fetch(event.request);
    if (answer.status === 200) event.waitUntil(keep(cache, event.request, answer.clone()));
    return answer;
  } catch (error) {
    const known = await cache.match(event.request, { ignoreVary: true });
    if (known === undefined) throw error;
    return known;
  }
}

async function keep(cache, request, answer) {
  await cache.delete(request, { ignoreVary: true }); // so that the oldest are the first of the keys
  await cache.put(request, answer);
  const keys = await cache.keys();
  await Promise.all(keys.slice(0, Math.max(0, keys.length - MOST_ANSWERS)).map((key) => cache.delete(key)));
}

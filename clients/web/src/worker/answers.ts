/**
 * The answers of the service that are kept, to be shown where it cannot be reached: the newest of each question. They are
 * of whoever is signed in: the page has them forgotten when that ends (`offline.ts`).
 */

import { ANSWERS } from "../offline";

// What a person looks at; sessions, secrets and what changes something are never kept.
const KEPT = /^\/v1\/(catalogue$|users\/[^/]+\/(types|summary|series|events|insights|consents|carers)$)/;
/** Of one page of the service, so that whoever looks around in one picture loses no other; and of all. */
const MOST_OF_ONE = 40;
const MOST = 400;
/** Said of what may be seen no more, or is no more. A session that is over (401) may be renewed. */
const NO_MORE: ReadonlySet<number> = new Set([403, 404, 410]);

/** Whether the answers to a path are kept. */
export function isKept(path: string): boolean {
  return KEPT.test(path);
}

/** The service's answer, or the last one where it cannot be reached. `during` is handed what goes on after that. */
export async function newest(request: Request, during: (work: Promise<unknown>) => void): Promise<Response> {
  // Opened before it is asked: what is forgotten meanwhile is not kept again by an answer that was on its way.
  const cache = await caches.open(ANSWERS);
  let answer: Response;
  try {
    answer = await fetch(request);
  } catch (error) {
    const known = await cache.match(request.url, { ignoreVary: true });
    if (known === undefined) throw error;
    return known;
  }
  if (answer.status === 200 && isJson(answer)) during(keep(cache, request.url, answer.clone()));
  else if (NO_MORE.has(answer.status)) during(cache.delete(request.url, { ignoreVary: true }));
  return answer;
}

function isJson(answer: Response): boolean {
  return answer.headers.get("content-type")?.startsWith("application/json") === true;
}

/** Keep an answer once all of it is here: the page may have given up, and then the one of before is better than none. */
async function keep(cache: Cache, url: string, answer: Response): Promise<void> {
  const { status, statusText, headers } = answer;
  const body = await answer.arrayBuffer().catch(() => undefined);
  if (body === undefined) return;
  await cache.put(url, new Response(body, { status, statusText, headers }));
  const urls = (await cache.keys()).map((key) => key.url); // the oldest first: what is put again is put behind the others
  await Promise.all(tooMany(urls).map((each) => cache.delete(each, { ignoreVary: true })));
}

/** Those that are too many, of all that are kept, the oldest first. */
export function tooMany(urls: readonly string[]): string[] {
  const left = new Map<string, number>();
  let all = 0;
  const newestFirst = [...urls].reverse();
  return newestFirst.filter((url) => {
    const { pathname } = new URL(url);
    const before = left.get(pathname) ?? 0;
    if (before === MOST_OF_ONE || all === MOST) return true;
    left.set(pathname, before + 1);
    all += 1;
    return false;
  });
}

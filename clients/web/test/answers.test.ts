import { beforeEach, expect, test, vi } from "vitest";
import { forgetKept } from "../src/offline";
import { isKept, newest, tooMany } from "../src/worker/answers";
import { type MemoryCaches, openBrowser } from "./support/browser";

const DAYS = "https://here.example.org/v1/users/alice/summary?since=2026-11-01";
const JSON_TYPE = { headers: { "content-type": "application/json" } };

let caches: MemoryCaches;

beforeEach(() => {
  caches = openBrowser().caches;
});

/** What a page is answered when the service answers so; all that the worker does behind that is done. */
async function asked(answer: () => Response | Promise<Response>, url = DAYS): Promise<Response> {
  vi.stubGlobal("fetch", () => Promise.resolve().then(answer));
  const works: Promise<unknown>[] = [];
  const answered = await newest(new Request(url), (work) => void works.push(work));
  await Promise.all(works);
  return answered;
}

const said = (text: string) => (): Response => new Response(JSON.stringify(text), JSON_TYPE);
const away = (): never => {
  throw new TypeError("there is no network");
};
const cutOff = (): Response =>
  new Response(
    new ReadableStream({
      start(body) {
        body.enqueue(new TextEncoder().encode('"hal'));
        body.error(new DOMException("the page gave up", "AbortError"));
      },
    }),
    JSON_TYPE,
  );

test("without a network the last answer is given, whole", async () => {
  await asked(said("first"));
  await asked(said("second"));
  const answer = await asked(away);
  expect([answer.headers.get("content-type"), await answer.json()]).toEqual(["application/json", "second"]);
  await expect(asked(away, `${DAYS}&until=2026-11-30`)).rejects.toThrow("no network");
});

test("an answer that was cut off leaves the one before it", async () => {
  await asked(said("first"));
  await asked(cutOff);
  expect(await (await asked(away)).json()).toBe("first");
});

test.each([403, 404, 410])("what the service answers no more (%i) is not kept", async (status) => {
  await asked(said("first"));
  await asked(() => new Response("{}", { ...JSON_TYPE, status }));
  await expect(asked(away)).rejects.toThrow("no network");
});

test.each([401, 429, 500, 503])("an answer to ask again later (%i) leaves what is kept", async (status) => {
  await asked(said("first"));
  await asked(() => new Response("{}", { ...JSON_TYPE, status }));
  expect(await (await asked(away)).json()).toBe("first");
});

test("what is forgotten is not kept again by an answer that was on its way", async () => {
  await asked(async () => {
    await forgetKept();
    return said("of another session")();
  });
  await expect(asked(away)).rejects.toThrow("no network");
});

test("of what is exported nothing is kept", async () => {
  await asked(() => new Response("id,type", { headers: { "content-type": "text/csv" } }));
  expect(caches.urls()).toEqual([]);
});

test("whoever looks around in a picture loses no other page, and all that is kept has an end", () => {
  const series = Array.from({ length: 1000 }, (_, at) => `https://h/v1/users/alice/series?since=${at}`);
  const gone = tooMany([DAYS, ...series]);
  expect([gone.length, gone.includes(DAYS)]).toEqual([960, false]);
  expect(gone).not.toContain(series.at(-1));
  const users = Array.from({ length: 1000 }, (_, at) => `https://h/v1/users/u${at}/types`);
  expect(tooMany(users)).toEqual(users.slice(0, 600).reverse());
});

test("sessions, and what changes something, are never kept", () => {
  expect(isKept("/v1/catalogue")).toBe(true);
  expect(isKept("/v1/users/alice/summary")).toBe(true);
  for (const path of ["/v1/session", "/v1/session/refresh", "/v1/invites/x", "/v1/stream", "/v1/users/alice/devices"])
    expect(isKept(path), path).toBe(false);
});

import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { useCared } from "../src/api/cared";
import { session } from "../src/api/session";
import { changed, firstEnd, goodAt } from "../src/model/cared";
import { ANSWERS, forgetKeptOf, keepCared, keptCared } from "../src/offline";
import { type MemoryCaches, openBrowser } from "./support/browser";

const NOW = Date.parse("2026-11-27T12:00:00Z");
const grant = (user_id: string, until: string, types = ["*"]) => ({ user_id, types, until });
const ALICE = grant("alice", "2026-12-01T00:00:00Z");
const BOB = grant("bob", "2026-11-27T12:00:00Z");

let caches: MemoryCaches;
let document: { cookie: string };

beforeEach(() => {
  vi.useFakeTimers({ now: NOW, toFake: ["Date"] });
  ({ caches, document } = openBrowser());
});
afterEach(() => void vi.useRealTimers());

/** Who is shown before the service has said anything. */
function shown(): string {
  const Shown = (): string => {
    const { others, chosen } = useCared();
    return `${others.join(" ")}, ${chosen ?? "the own page"}`;
  };
  return renderToStaticMarkup(createElement(Shown));
}

async function keepAnswers(...users: string[]): Promise<void> {
  const cache = await caches.open(ANSWERS);
  for (const user of users) await cache.put(`https://h/v1/users/${user}/summary`, new Response("{}"));
}

/** The page is opened with the cookie of a session, whose next cookies the service makes as it is told here. */
async function open(word: string, renewed: () => Response): Promise<void> {
  document.cookie = word === "" ? "" : `__Host-healthsync-csrf=${word}`;
  vi.stubGlobal("fetch", () => Promise.resolve().then(renewed));
  await session.begin();
}

const of = (name: string) => (): Response =>
  new Response(JSON.stringify({ role: "user", name, expires_at: "2026-11-27T12:15:00Z", csrf_token: "" }));
const away = (): never => {
  throw new TypeError("there is no network");
};

test("who is cared for, and was looked at last, is shown before the service says anything", () => {
  expect(shown()).toBe(", the own page");
  keepCared({ grants: [ALICE], chosen: "alice" });
  expect(shown()).toBe("alice, alice");
});

test("after the end of a grant its user is shown to nobody, with or without a network", () => {
  keepCared({ grants: [ALICE, BOB], chosen: "bob" });
  expect(shown()).toBe("alice, the own page");
  vi.setSystemTime(NOW - 1);
  expect(shown()).toBe("alice bob, bob");
  expect(goodAt([ALICE, BOB], NOW)).toEqual([ALICE]);
  expect([firstEnd([ALICE, BOB]), firstEnd([])]).toEqual([NOW, null]);
});

test("what was kept of who lets see nothing more, or something else, is no longer to be seen", async () => {
  expect(changed([ALICE, BOB], [ALICE])).toEqual(["bob"]);
  expect(changed([ALICE], [grant("alice", ALICE.until, ["steps"])])).toEqual(["alice"]);
  expect(changed([ALICE], [grant("alice", "2027-01-01T00:00:00Z")])).toEqual([]);
  await keepAnswers("alice", "alice2", "bob");
  await forgetKeptOf("alice");
  expect(caches.urls()).toEqual(["https://h/v1/users/alice2/summary", "https://h/v1/users/bob/summary"]);
});

test("what was kept of a session is there in it without a network, and in no other", async () => {
  await open("first", of("carla"));
  keepCared({ grants: [ALICE], chosen: "alice" });
  await keepAnswers("alice");
  await open("first", away);
  expect([session.get(), shown(), caches.urls().length]).toMatchObject([
    { person: { name: "carla" } },
    "alice, alice",
    1,
  ]);

  await open("second", of("dora"));
  expect([session.get(), shown(), caches.urls().length]).toMatchObject([
    { person: { name: "dora" } },
    ", the own page",
    0,
  ]);
});

test.each([
  ["has no cookie any more", "", away],
  ["is told that its session is over", "second", () => new Response("{}", { status: 401 })],
])("a browser that %s forgets all that was shown", async (_, word, renewed) => {
  await open("first", of("carla"));
  keepCared({ grants: [ALICE], chosen: "alice" });
  await keepAnswers("alice");
  await open(word, renewed);
  expect([session.get().state, keptCared().grants, caches.urls()]).toEqual(["nobody", [], []]);
});

test("signing out forgets all that was shown", async () => {
  await open("first", of("carla"));
  keepCared({ grants: [ALICE], chosen: "alice" });
  await keepAnswers("alice");
  vi.stubGlobal("fetch", () => Promise.resolve(new Response("{}")));
  await session.end();
  expect([session.get().state, keptCared().grants, caches.urls()]).toEqual(["nobody", [], []]);
});

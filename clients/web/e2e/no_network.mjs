// Every page as a user, a carer and an admin, on both screens, with a network and without one: it shows what it showed
// last, or says that there is no network, and in either state nothing is wrong with it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { skip, stage } from "./stage.mjs";
import { PATIENCE_MS, useLink, Visitor, WHOLE } from "./visitor.mjs";

const AWAY = ".failure:has-text('No connection')";
/** By page: what is there with a network, and what without one where that is something else. */
const OF_USER = {
  "": [".figures"],
  charts: [".plot canvas"],
  add: [".entry"],
  sharing: [".purposes"],
  devices: [".rows li", AWAY],
  data: [".drop"],
  settings: ["fieldset"],
};
const WITH_DAYS = "nina";
const OF_CARER = { "": [".figures"], charts: [".plot canvas"], settings: ["fieldset"] };
const OF_ADMIN = {
  "": [".pipeline", AWAY],
  users: [".rows li", AWAY],
  adapters: [".rows li", AWAY],
  sinks: ["text=Nothing is shipped", AWAY],
  rejected: ["main h1:has-text('Refused')", AWAY],
  audit: ["text=each as it was written", AWAY],
  settings: ["fieldset"],
};

let days;

for (const [role, pages, words] of [
  ["a user", OF_USER, ["user", "invite", WITH_DAYS]],
  ["a carer", OF_CARER, ["user", "invite", "carla"]],
  ["an admin", OF_ADMIN, ["admin", "invite", "root"]],
]) {
  test(`every page is sound with a network and without one: ${role}`, { skip }, async () => {
    const visitor = await Visitor.arrive(stage, "desktop");
    const { page } = visitor;
    if (role !== "an admin") await (days ??= withDays(WITH_DAYS));
    if (role === "a carer") await letSee(visitor, "carla");
    await visitor.signIn(...words);
    await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
    await page.reload(); // from now on the worker answers
    if (role === "a carer") await page.getByLabel("Whose data").selectOption(WITH_DAYS);
    for (const offline of [false, true]) {
      if (offline) await openOffline(visitor, role === "an admin" ? undefined : WITH_DAYS);
      for (const size of WHOLE) {
        await visitor.resize(size);
        for (const [name, [there, without = there]] of Object.entries(pages)) {
          await visitor.go(`#/${name}`, offline ? without : there);
          await visitor.expectSound(`${role.split(" ")[1]}-${name || "first"}${offline ? "-offline" : ""}`);
        }
      }
    }
    if (role === "a carer") await expectForgotten(visitor, "carla");
    await visitor.context.close();
  });
}

/** Somebody whose days are all there: those of demo go on, and another one may be the newest at any time. */
async function withDays(name) {
  const { service } = stage;
  await service.cli("user", "add", name, "--consent", "all");
  const { token } = await service.cli("device", "add", name, "watch");
  const begin = new Date(Date.now() - 86_400_000).setUTCHours(0, 0, 0, 0);
  const events = Array.from({ length: 96 }, (_, each) => ({
    id: `${name}-${each}`,
    type: "heart_rate",
    start_time: new Date(begin + each * 600_000).toISOString(),
    value: { bpm: 55 + (each % 30) },
  }));
  const context = await stage.browser.newContext({ ignoreHTTPSErrors: true });
  const headers = { authorization: `Bearer ${token}` };
  const answer = await context.request.post(`${service.url}/v1/events`, { headers, data: events });
  assert.equal(answer.status(), 200, await answer.text());
  await context.close();
  const summed = async () => (await service.lines("summary", "--user", name)).length;
  for (const end = Date.now() + PATIENCE_MS; (await summed()) === 0;) assert.ok(Date.now() < end, "no days");
}

/** The network goes once the days of `user` were kept, and the app is opened anew. */
async function openOffline(visitor, user) {
  const { page } = visitor;
  if (user !== undefined) await keptBecomes(page, user, (kept) => kept.includes("summary"));
  await visitor.setOffline(true);
  await page.reload();
  await page.waitForSelector("main h1");
}

/** What answers of a user this browser keeps. */
async function keptOf(page, user) {
  const urls = await page.evaluate(async () => {
    const there = (await caches.keys()).filter((name) => name === "healthsync-answers");
    const keys = await Promise.all(there.map(async (name) => (await caches.open(name)).keys()));
    return keys.flat().map(({ url }) => url);
  });
  const begins = `/v1/users/${user}/`;
  return urls
    .map((url) => new URL(url).pathname)
    .filter((path) => path.startsWith(begins))
    .map((path) => path.slice(begins.length));
}

/** The worker keeps what it has answered behind the answer, and a page forgets behind what it shows. */
async function keptBecomes(page, user, expected) {
  for (const end = Date.now() + PATIENCE_MS; !expected(await keptOf(page, user)); await page.waitForTimeout(100))
    assert.ok(Date.now() < end, `kept of ${user}: ${await keptOf(page, user)}`);
}

/** Of who lets see nothing more nothing is kept; and of nobody after signing out. */
async function expectForgotten(visitor, carer) {
  const { page, context } = visitor;
  await visitor.setOffline(false);
  await asThem(await context.browser().newContext({ ignoreHTTPSErrors: true }), async (other) => {
    await other.evaluate(changeCarer, { user: WITH_DAYS, carer, method: "DELETE" });
  });
  await page.reload();
  await visitor.go("#/", ".empty"); // the own page: nothing was ever sent
  await keptBecomes(page, WITH_DAYS, (kept) => kept.length === 0);
  await visitor.setOffline(true);
  await page.reload();
  await page.waitForSelector(".empty");
  assert.equal(await page.getByLabel("Whose data").count(), 0);

  await visitor.setOffline(false);
  await visitor.go("#/settings", "fieldset");
  assert.notDeepEqual(await keptOf(page, carer), []);
  await page.getByRole("button", { name: "Sign out", exact: true }).click();
  await page.waitForSelector("main.alone");
  assert.deepEqual(await keptOf(page, carer), []);
}

/** Somebody new, whom they let see everything. */
async function letSee({ context }, name) {
  await stage.service.cli("user", "add", name, "--consent", "all");
  const grant = { types: ["*"], until: "2100-01-01T00:00:00Z" };
  const other = await context.browser().newContext({ ignoreHTTPSErrors: true });
  await asThem(
    other,
    async (page) => await page.evaluate(changeCarer, { user: WITH_DAYS, carer: name, method: "PUT", grant }),
  );
}

/** Something that they do, in a browser of their own, which is closed then. */
async function asThem(context, done) {
  const { url } = await stage.service.cli("user", "invite", WITH_DAYS);
  const page = await context.newPage();
  await useLink(page, url);
  await page.waitForURL(`${stage.service.url}/`);
  await done(page);
  await context.close();
}

/** In a page of theirs. */
async function changeCarer({ user, carer, method, grant }) {
  const pair = document.cookie.split("; ").find((each) => each.startsWith("__Host-healthsync-csrf="));
  const headers = { "content-type": "application/json", "x-csrf-token": pair.split("=")[1].replaceAll('"', "") };
  const body = grant === undefined ? undefined : JSON.stringify(grant);
  const answer = await fetch(`/v1/users/${user}/carers/${carer}`, { method, headers, body });
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
}

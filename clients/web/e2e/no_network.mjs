// Every page as a user, a carer and an admin, on both screens, with a network and without one: it shows what it showed
// last, or says that there is no network, and in either state nothing is wrong with it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { skip, stage } from "./stage.mjs";
import { PATIENCE_MS, Visitor, WHOLE } from "./visitor.mjs";

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

for (const [role, pages, words] of [
  ["a user", OF_USER, ["user", "invite", "demo"]],
  ["a carer", OF_CARER, ["user", "invite", "carla"]],
  ["an admin", OF_ADMIN, ["admin", "invite", "root"]],
]) {
  test(`every page is sound with a network and without one: ${role}`, { skip }, async () => {
    const visitor = await Visitor.arrive(stage, "desktop");
    const { page } = visitor;
    await expectToday();
    if (role === "a carer") await letSee(visitor, "carla");
    await visitor.signIn(...words);
    await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
    await page.reload(); // from now on the worker answers
    if (role === "a carer") await page.getByLabel("Whose data").selectOption("demo");
    for (const offline of [false, true]) {
      if (offline) await openOffline(visitor, role === "an admin" ? undefined : "demo");
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

/** The days of demo have come to today, and are summed up: whoever looks sees no other day later. */
async function expectToday() {
  const today = new Date().toISOString().slice(0, 10);
  const asked = ["summary", "--user", "demo", "--since", today];
  for (const end = Date.now() + PATIENCE_MS; (await stage.service.lines(...asked)).length === 0;)
    assert.ok(Date.now() < end, "the days of demo have not come to today");
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
  await asDemo(await context.browser().newContext({ ignoreHTTPSErrors: true }), async (other) => {
    await other.evaluate(changeCarer, { carer, method: "DELETE" });
  });
  await page.reload();
  await page.waitForSelector(".empty"); // the own page: nothing was ever sent
  await keptBecomes(page, "demo", (kept) => kept.length === 0);
  await visitor.setOffline(true);
  await page.reload();
  await page.waitForSelector(".empty");
  assert.equal(await page.getByLabel("Whose data").count(), 0);

  await visitor.setOffline(false);
  await visitor.go("#/settings", "fieldset");
  assert.notDeepEqual(await keptOf(page, carer), []);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.waitForSelector("main.alone");
  assert.deepEqual(await keptOf(page, carer), []);
}

/** Somebody new, whom demo lets see everything. */
async function letSee({ context }, name) {
  await stage.service.cli("user", "add", name, "--consent", "all");
  const grant = { types: ["*"], until: "2100-01-01T00:00:00Z" };
  const other = await context.browser().newContext({ ignoreHTTPSErrors: true });
  await asDemo(other, async (page) => await page.evaluate(changeCarer, { carer: name, method: "PUT", grant }));
}

/** Something that demo does, in a browser of their own, which is closed then. */
async function asDemo(context, done) {
  const { url } = await stage.service.cli("user", "invite", "demo");
  const page = await context.newPage();
  await page.goto(url);
  await page.waitForURL(`${stage.service.url}/`);
  await done(page);
  await context.close();
}

/** In a page of demo. */
async function changeCarer({ carer, method, grant }) {
  const pair = document.cookie.split("; ").find((each) => each.startsWith("__Host-healthsync-csrf="));
  const headers = { "content-type": "application/json", "x-csrf-token": pair.split("=")[1].replaceAll('"', "") };
  const body = grant === undefined ? undefined : JSON.stringify(grant);
  const answer = await fetch(`/v1/users/demo/carers/${carer}`, { method, headers, body });
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
}

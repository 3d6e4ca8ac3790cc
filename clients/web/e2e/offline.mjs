// What is entered without a network is kept in the browser, survives the page, and is stored once.
import assert from "node:assert/strict";
import { test } from "node:test";
import { skip, stage } from "./stage.mjs";
import { Visitor } from "./visitor.mjs";

/** Entries in all; npm run e2e takes some seconds for the usual ones, and E2E_ENTRIES=1000 some minutes. */
const COUNT = Number(process.env.E2E_ENTRIES ?? 40);
const random = (least, most) => Math.floor(least + Math.random() * (most - least));

async function enter(page, kg) {
  await page.getByLabel("Weight kg").fill(String(kg));
  await page.getByRole("button", { name: "Save" }).click();
}

/** Its process ends so many milliseconds from now, whatever it is at. */
async function crash(page, after) {
  const session = await page.context().newCDPSession(page);
  const gone = new Promise((resolve) => page.once("crash", resolve));
  await page.waitForTimeout(after);
  session.send("Page.crash").catch(() => undefined); // nobody is left to answer
  await gone;
  await page.close();
}

test(
  "a page whose part of the program does not come says so, with the rest of the app around it",
  { skip },
  async () => {
    const visitor = await Visitor.arrive(stage, "desktop", { serviceWorkers: "block" });
    const { context, page, faults } = visitor;
    await visitor.signIn("user", "invite", "demo");
    await context.setOffline(true);
    await visitor.go("#/sharing", ".failure");
    assert.equal(await page.locator("nav").count(), 1);
    assert.deepEqual(
      faults.filter((each) => each.startsWith("script")),
      [],
    );
    await context.setOffline(false);
    await page.locator(".failure button").click();
    await page.waitForSelector(".purposes");
    await context.close();
  },
);

test("offline the app opens, keeps entries over a page that is killed, and each is stored once", { skip }, async () => {
  const visitor = await Visitor.arrive(stage, "phone");
  const { context } = visitor;
  let { page } = visitor;
  await visitor.signIn("user", "invite", "demo");
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  await page.reload(); // from now on the worker answers
  await page.waitForSelector(".beat");
  await visitor.go("#/add", ".entry");
  await enter(page, 70);
  await page.waitForSelector("text=saved");
  await visitor.expectSound("add");
  assert.deepEqual(await stored(70), [1]);

  await context.setOffline(true);
  // What a page has shown as kept is kept; of the entry that it was at when it was killed nobody has been told.
  const [kept, perhaps] = [[], []];
  while (kept.length < COUNT) {
    page = await context.newPage();
    await page.goto(`${stage.service.url}/#/add`);
    await page.waitForSelector(".entry");
    const most = Math.min(COUNT - kept.length, random(1, COUNT / 4));
    for (let each = 1; each <= most; each++) {
      const kg = (710 + kept.length + perhaps.length) / 10;
      await enter(page, kg);
      if (each === most && kept.length + 1 < COUNT) {
        perhaps.push(kg);
        break;
      }
      await page.waitForFunction((count) => document.querySelectorAll(".rows li").length >= count, Math.min(20, each));
      kept.push(kg);
    }
    await crash(page, random(0, 30));
  }
  page = await context.newPage();
  await page.goto(`${stage.service.url}/#/add`);
  await page.waitForSelector(".waiting");
  // The network comes back, and the page goes again and again while its entries are on their way.
  await context.setOffline(false);
  for (let round = 0; round < 4; round++) {
    await crash(page, random(0, 100) * round);
    page = await context.newPage();
    await page.goto(`${stage.service.url}/#/add`);
    await page.waitForSelector(".entry");
  }
  await page.waitForFunction(() => document.querySelector(".waiting") === null);
  assert.deepEqual(
    await stored(...kept),
    kept.map(() => 1),
  );
  assert.deepEqual(
    (await stored(...perhaps)).filter((times) => times > 1),
    [],
  );
  assert.ok(perhaps.length >= 3, `killed only ${perhaps.length} times`);
  await context.close();
});

test("what waits is sent with no page open, when the browser says that there is a network", { skip }, async () => {
  const visitor = await Visitor.arrive(stage, "phone");
  const { context, page } = visitor;
  await visitor.signIn("user", "invite", "demo");
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  await visitor.go("#/add", ".entry");
  await enter(page, 60);
  await page.waitForSelector("text=saved"); // this browser has enrolled
  const session = await context.newCDPSession(page);
  const registrations = [];
  session.on("ServiceWorker.workerRegistrationUpdated", (told) => registrations.push(...told.registrations));
  await session.send("ServiceWorker.enable");
  await context.setOffline(true);
  await enter(page, 61.5);
  await page.waitForSelector("text=1 kept here");
  const other = await context.newPage();
  await page.goto("about:blank");
  await context.setOffline(false);
  const { registrationId } = registrations.find(({ scopeURL }) => scopeURL.startsWith(stage.service.url));
  const sync = { origin: stage.service.url, registrationId, tag: "healthsync-outbox demo", lastChance: false };
  await session.send("ServiceWorker.dispatchSyncEvent", sync);
  for (let tries = 0; (await stored(61.5))[0] === 0; tries += 1) assert.ok(tries < 60, "it was not sent");
  assert.deepEqual(await stored(61.5), [1]);
  await other.close();
  await context.close();
});

/** How often each of these weights is in the log. */
async function stored(...numbers) {
  const wanted = ["--user", "demo", "--type", "weight", "--app", "HealthSync web", "--limit", "5000"];
  const found = (await stage.service.lines("events", "list", ...wanted)).map(({ value }) => value.kg);
  return numbers.map((kg) => found.filter((each) => each === kg).length);
}

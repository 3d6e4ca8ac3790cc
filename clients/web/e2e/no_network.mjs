// Every page as a user, a carer and an admin, on both screens, with a network and without one: it shows what it showed
// last, or says that there is no network, and in either state nothing is wrong with it.
import { test } from "node:test";
import { skip, stage } from "./stage.mjs";
import { Visitor, WHOLE } from "./visitor.mjs";

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
/** Whose data somebody else lets see is asked of the service: without it the own page may be all that is left. */
const OWN = `main h1, ${AWAY}`;
const OF_CARER = { "": [".figures", OWN], charts: [".plot canvas", OWN], settings: ["fieldset"] };
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
    if (role === "a carer") await letSee(visitor, "carla");
    await visitor.signIn(...words);
    await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
    await page.reload(); // from now on the worker answers
    if (role === "a carer") await page.getByLabel("Whose data").selectOption("demo");
    for (const offline of [false, true]) {
      await visitor.setOffline(offline);
      for (const size of WHOLE) {
        await visitor.resize(size);
        for (const [name, [there, without = there]] of Object.entries(pages)) {
          await visitor.go(`#/${name}`, offline ? without : there);
          await visitor.expectSound(`${role.split(" ")[1]}-${name || "first"}${offline ? "-offline" : ""}`);
        }
      }
    }
    await visitor.context.close();
  });
}

/** Somebody new, whom demo lets see everything. */
async function letSee({ context }, name) {
  await stage.service.cli("user", "add", name, "--consent", "all");
  const { url } = await stage.service.cli("user", "invite", "demo");
  const page = await context.newPage();
  await page.goto(url);
  await page.waitForURL(`${stage.service.url}/`);
  await page.evaluate(async (to) => {
    const pair = document.cookie.split("; ").find((each) => each.startsWith("__Host-healthsync-csrf="));
    const headers = { "content-type": "application/json", "x-csrf-token": pair.split("=")[1].replaceAll('"', "") };
    const body = JSON.stringify({ types: ["*"], until: "2100-01-01T00:00:00Z" });
    const answer = await fetch(`/v1/users/demo/carers/${to}`, { method: "PUT", headers, body });
    if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
  }, name);
  await page.close();
  await context.clearCookies();
}

// A person's walk through the app, against a service that runs: on a desktop and on a phone.
import assert from "node:assert/strict";
import { test } from "node:test";
import { skip, stage } from "./stage.mjs";
import { Visitor, WHOLE } from "./visitor.mjs";

test("who is not signed in is told how, and nothing else is asked", { skip }, async () => {
  const visitor = await Visitor.arrive(stage, "desktop");
  const asked = [];
  visitor.page.on("request", (request) => asked.push(new URL(request.url()).pathname));
  await visitor.page.goto(stage.service.url);
  await visitor.page.waitForSelector("text=healthsync user invite");
  await visitor.expectSound("nobody");
  assert.deepEqual(
    asked.filter((path) => path.startsWith("/v1/")),
    ["/v1/session/ways"],
  );
  await visitor.context.close();
});

const PAGES = { add: ".entry", sharing: ".purposes", devices: ".rows li", data: ".drop", settings: "fieldset" };

for (const size of WHOLE) {
  test(`a link signs in, values arrive by themselves, and every page is sound: ${size}`, { skip }, async () => {
    const visitor = await Visitor.arrive(stage, size);
    const { page } = visitor;
    await visitor.signIn("user", "invite", "demo");
    const number = page.locator(".beat .number");
    await number.waitFor();
    const when = await page.locator(".live .when").textContent();
    await page.waitForFunction((before) => document.querySelector(".live .when")?.textContent !== before, when);
    await page.waitForSelector(".pulse");
    await visitor.expectSound("today");

    await visitor.go("#/charts/heart_rate", ".plot canvas");
    await page.waitForSelector("text=/each value|mean, lowest/");
    await visitor.expectSound("charts");
    const range = page.locator(".plot-range span");
    const before = await range.textContent();
    await page.locator(".plot").focus();
    await page.keyboard.press("+");
    await page.waitForFunction((old) => document.querySelector(".plot-range span")?.textContent !== old, before);

    for (const [name, ready] of Object.entries(PAGES)) {
      await visitor.go(`#/${name}`, ready);
      await visitor.expectSound(name);
    }
    await page.getByLabel("Deutsch").check({ force: true });
    await page.waitForSelector("h1:has-text('Einstellungen')");
    await page.getByLabel("Dunkel").check({ force: true });
    await visitor.expectSound("settings-dark-german");
    await page.reload();
    await page.waitForSelector("h1:has-text('Einstellungen')");
    await page.getByRole("button", { name: "Abmelden", exact: true }).click();
    await page.waitForSelector("text=healthsync user invite");
    await visitor.expectSound("signed-out");
    await visitor.context.close();
  });
}

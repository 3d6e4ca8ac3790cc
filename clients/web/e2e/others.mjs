// A carer sees what is granted and no more; an admin registers somebody and hands out a link.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { skip, stage } from "./stage.mjs";
import { useLink, Visitor, WHOLE } from "./visitor.mjs";

test(
  "a person shares one type with another one, who sees it and nothing else, until it is taken back",
  { skip },
  async () => {
    const demo = await Visitor.arrive(stage, "desktop");
    await demo.signIn("user", "invite", "demo");
    await demo.go("#/sharing", ".purposes");
    await demo.expectSound("sharing");
    await demo.page.getByLabel("User name").fill("carol");
    await demo.page.getByRole("combobox", { name: "What", exact: true }).selectOption("steps");
    await demo.page.getByRole("button", { name: "Let see" }).click();
    await demo.page.waitForSelector(".rows b:has-text('carol')");

    const carol = await Visitor.arrive(stage, "phone");
    await carol.signIn("user", "invite", "carol");
    await carol.page.getByLabel("Whose data").selectOption("demo");
    await carol.page.waitForSelector(".figures");
    assert.deepEqual(await carol.page.locator(".figures .name").allTextContents(), ["Steps"]);
    await carol.expectSound("carer");
    await carol.go("#/charts", ".plot canvas");
    assert.deepEqual(await carol.page.getByLabel("What to show").locator("option").allTextContents(), ["Steps"]);
    await carol.expectSound("carer-charts");

    await demo.page.getByRole("button", { name: "Take back" }).click();
    await demo.page.getByRole("alertdialog").getByRole("button", { name: "Take back" }).click();
    await demo.page.waitForFunction(() => !document.body.textContent.includes("carol"));
    await carol.page.reload();
    await carol.page.waitForSelector("main h1");
    assert.equal(await carol.page.getByLabel("Whose data").count(), 0);
    await demo.context.close();
    await carol.context.close();
  },
);

test("a device gets a code; a switch withdraws consent, and the history says so", { skip }, async () => {
  const demo = await Visitor.arrive(stage, "desktop");
  await demo.signIn("user", "invite", "demo");
  await demo.go("#/devices", ".rows li");
  await demo.page.getByLabel("Name of a new device").fill("scale");
  await demo.page.getByRole("button", { name: "Add" }).first().click();
  await demo.page.waitForSelector(".code img");
  const code = await demo.page.locator(".code .big").textContent();
  assert.match(code, /^[0-9A-Z]{4}(-[0-9A-Z]{4})+$/);
  assert.ok(await demo.page.locator(".code img").evaluate((image) => image.complete && image.naturalWidth > 20));
  await demo.page.getByRole("button", { name: "Done" }).click();

  await demo.page.getByLabel("Name of a new app").fill("autoexport");
  await demo.page.locator("form", { hasText: "Which app" }).getByRole("button", { name: "Add" }).click();
  await demo.page.waitForSelector("text=The password is shown this once");
  const [app] = await demo.page.locator(".login code").allTextContents();
  assert.ok(app.includes("autoexport"), app);
  await demo.page.getByRole("button", { name: "Done" }).click();

  for (const [id, title] of [
    ["watch", "Running watch"],
    ["autoexport", "Phone of the kitchen"],
  ]) {
    const row = demo.page.locator(".rows li", { has: demo.page.locator(`b:text-is("${id}")`) }).last();
    await row.getByRole("button", { name: "Rename" }).click();
    await demo.page.getByLabel(`What you call ${id}`).fill(title);
    await demo.expectSound(`rename-${id}`);
    await demo.page.keyboard.press("Enter");
    await demo.page.waitForSelector(`.rows b:has-text('${title}')`);
    assert.match(await demo.page.locator(".rows li", { hasText: title }).textContent(), new RegExp(`${id} · `));
  }
  const titled = (await stage.service.lines("device", "list", "--user", "demo")).find(
    (each) => each.device_id === "watch",
  );
  assert.equal(titled.title, "Running watch");
  const renamed = demo.page.locator(".rows li", { hasText: "Running watch" });
  await renamed.getByRole("button", { name: "Rename" }).click();
  await demo.page.getByLabel("What you call watch").fill("");
  await demo.page.getByRole("button", { name: "Save" }).click();
  await demo.page.waitForSelector(".rows b:text-is('watch')");

  await demo.page.getByRole("button", { name: "Connect Oura" }).click();
  const agree = demo.page.getByRole("link", { name: "Go to Oura" });
  const there = new URL(await agree.getAttribute("href"));
  assert.equal(there.origin + there.pathname, "https://cloud.example.org/oauth/authorize");
  assert.equal(there.searchParams.get("client_id"), "e2e");
  assert.equal(there.searchParams.get("redirect_uri"), "https://health.example.org/v1/link/oura/callback");
  await demo.expectSound("devices");

  await demo.go("#/sharing", ".purposes");
  const share = demo.page.getByRole("switch", { name: /^Share/ });
  assert.equal(await share.isChecked(), true);
  await share.press(" ");
  await demo.page.waitForFunction(() => !document.querySelectorAll("[role=switch]")[1].checked);
  const [newest] = (await stage.service.lines("consent", "history", "demo")).slice(-1);
  assert.deepEqual([newest.action, newest.purpose], ["withdraw", "share"]);
  await demo.context.close();
});

for (const size of WHOLE) {
  test(`an admin registers somebody and hands out a link: ${size}`, { skip }, async () => {
    const admin = await Visitor.arrive(stage, size);
    await admin.signIn("admin", "invite", "root");
    await admin.page.waitForSelector(".pipeline");
    await admin.expectSound("service");
    await admin.go("#/rejected", "main h1:has-text('Refused')");
    await admin.expectSound("refused");
    await admin.go("#/sinks", "text=Nothing is shipped");
    await admin.expectSound("sinks");
    await admin.go("#/adapters", ".rows li");
    const oura = admin.page.locator(".rows li", { hasText: "Oura" });
    assert.match(await oura.textContent(), /ready/);
    assert.match(
      await admin.page.locator(".rows li", { hasText: "Polar" }).textContent(),
      /adapters\.polar\.client_id/,
    );
    await admin.expectSound("adapters");
    await admin.go("#/audit", ".rows li");
    await admin.page.waitForSelector("text=each as it was written");
    await admin.expectSound("audit");
    await admin.go("#/users", ".rows li");
    await admin.expectSound("users");
    const name = `new-${size}`;
    await admin.page.getByLabel("Name of a new user").fill(name);
    await admin.page.getByRole("button", { name: "Add" }).click();
    const row = admin.page.locator(".rows li", { hasText: name });
    await row.getByRole("button", { name: "Link" }).click();
    const link = await admin.page.locator(".url code").textContent();
    const person = await Visitor.arrive(stage, size);
    await useLink(person.page, link);
    await person.page.waitForSelector("text=Nothing has arrived yet");
    await person.expectSound("empty");
    await row.getByRole("link", { name: "Devices" }).click();
    await admin.page.waitForSelector("h1:has-text('Devices')");
    await admin.expectSound("users-devices");
    await admin.context.close();
    await person.context.close();
  });
}

test("an admin sees a sink by its name, pauses it and has it go on", { skip }, async () => {
  const folder = join(stage.service.data, "copies");
  await stage.service.cli("sink", "add", "file", folder, "--name", "copies");
  const admin = await Visitor.arrive(stage, "desktop");
  await admin.signIn("admin", "invite", "root");
  await admin.go("#/sinks", ".rows li b:has-text('copies')");
  const row = admin.page.locator(".rows li", { hasText: "copies" });
  assert.match(await row.textContent(), /file/);
  await row.getByRole("button", { name: "Pause" }).click();
  await row.getByRole("button", { name: "Go on" }).waitFor();
  assert.equal((await stage.service.cli("sink", "list")).paused, true);
  await admin.expectSound("sinks-one");
  await row.getByRole("button", { name: "Go on" }).click();
  await row.getByRole("button", { name: "Pause" }).waitFor();
  assert.equal((await stage.service.cli("sink", "list")).paused, false);
  await stage.service.cli("sink", "remove", "copies", "--yes");
  await admin.context.close();
});

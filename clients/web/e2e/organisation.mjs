// The login of an organisation: a button leads there and back, signed in; whom it knows and we do not is told so.
import assert from "node:assert/strict";
import { test } from "node:test";
import { PUBLIC_URL } from "./service.mjs";
import { skip, stage } from "./stage.mjs";
import { Visitor } from "./visitor.mjs";

test("an organisation's login signs its people in, and out there, too", { skip }, async () => {
  const { provider } = stage.service;
  await stage.service.cli("user", "add", "otto", "--consent", "all");
  const otto = await Visitor.arrive(stage, "desktop", { at: PUBLIC_URL, also: [provider.issuer] });
  const { page } = otto;
  const enter = page.getByRole("button", { name: "Sign in with Example Hospital" });
  const signOut = page.getByRole("button", { name: "Sign out, here and at Example Hospital" });
  await page.goto(PUBLIC_URL);
  await enter.waitFor();
  await otto.expectSound("signed-out-organisation");

  provider.person = "nobody-here";
  await enter.click();
  await page.waitForSelector("h1:has-text('You are not signed in')");
  otto.faults = otto.faults.filter((fault) => !fault.includes("401"));
  await otto.expectSound("organisation-refused");
  await page.getByRole("link", { name: "Try again" }).click();

  provider.person = "otto";
  await enter.click();
  await page.waitForSelector("text=Nothing has arrived yet");
  assert.equal(page.url(), `${PUBLIC_URL}/`);
  await otto.go("#/settings", "text=Signed in as otto");
  await otto.expectSound("settings-organisation");
  await signOut.click();
  await enter.waitFor();
  assert.equal(page.url(), `${PUBLIC_URL}/`);
  assert.deepEqual([otto.faults, provider.faults], [[], []]);
  await otto.context.close();
});

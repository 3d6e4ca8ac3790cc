// What becomes of all of it: a file is dropped, what is there is taken along, a refusal is tried again, all is deleted.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { skip, stage } from "./stage.mjs";
import { PATIENCE_MS, Visitor } from "./visitor.mjs";

const LINES = Array.from({ length: 5 }, (_, each) => ({
  id: `d-${each}`,
  type: "heart_rate",
  start_time: `2026-11-2${each}T10:00:00Z`,
  value: { bpm: 60 + each },
}));

/** In the page: a file is let go of over the place for files. */
function dropped([name, text]) {
  const carried = new DataTransfer();
  carried.items.add(new File([text], name));
  const options = { dataTransfer: carried, bubbles: true, cancelable: true };
  const place = document.querySelector(".drop");
  for (const kind of ["dragover", "drop"]) place.dispatchEvent(new DragEvent(kind, options));
}

test("a person drops a file, takes everything along, and deletes it", { skip }, async () => {
  await stage.service.cli("user", "add", "dora", "--consent", "all");
  const dora = await Visitor.arrive(stage, "desktop");
  const { page } = dora;
  // Where to write is a question of the system's, which nobody answers here: as in browsers that ask none.
  await page.addInitScript(() => void delete globalThis.showSaveFilePicker);
  await dora.signIn("user", "invite", "dora");
  await dora.go("#/data", ".drop");
  await page.evaluate(dropped, ["days.ndjson", LINES.map((each) => JSON.stringify(each)).join("\n")]);
  await page.waitForSelector(".rows li:has-text('5 new')", { timeout: 5 * PATIENCE_MS }); // read by a process of its own
  await dora.expectSound("data-imported");

  const lines = page.waitForEvent("download");
  await page.getByRole("button", { name: "As JSON lines" }).click();
  const told = readFileSync(await (await lines).path(), "utf8")
    .trim()
    .split("\n");
  assert.deepEqual(
    told.map((each) => JSON.parse(each).id),
    LINES.map(({ id }) => id),
  );
  const archive = page.waitForEvent("download");
  await page.getByRole("link", { name: "Everything, as an archive" }).click();
  assert.ok(readFileSync(await (await archive).path()).length > 500);

  const end = page.getByRole("button", { name: "Delete everything" });
  await page.getByLabel("Type dora to confirm").fill("Dora");
  assert.ok(await end.isDisabled());
  await page.getByLabel("Type dora to confirm").fill("dora");
  await end.click();
  await page.waitForSelector("text=healthsync user invite");
  // Until it was told, the page may have asked once more what became of its files.
  dora.faults = dora.faults.filter((fault) => !fault.includes("401"));
  await dora.expectSound("deleted");
  assert.ok(!(await stage.service.lines("user", "list")).some(({ user_id }) => user_id === "dora"));
  await dora.context.close();
});

test("an admin reads why something was refused, and tries it again", { skip }, async () => {
  await stage.service.cli("user", "add", "rita", "--consent", "all");
  const { token } = await stage.service.cli("device", "add", "rita", "watch");
  const admin = await Visitor.arrive(stage, "desktop");
  // One more than a page of the list has, and the newest come first: the first of them is on no first page.
  const numbers = Array.from({ length: 51 }, (_, each) => 901 + each);
  const bad = numbers.map((bpm) => ({ ...LINES[0], id: `bad-${bpm}`, value: { bpm } }));
  const headers = { authorization: `Bearer ${token}` };
  const answer = await admin.context.request.post(`${stage.service.url}/v1/events`, { headers, data: bad });
  assert.equal(answer.status(), 422);
  await admin.signIn("admin", "invite", "root");
  await admin.go("#/rejected", ".rows li");
  await admin.page.locator(".rows li", { hasText: "bpm 951" }).waitFor();
  const row = admin.page.locator(".rows li", { hasText: "bpm 901" });
  // It can be pressed when its page is there and is not the last one.
  const on = admin.page.getByRole("button", { name: "On", exact: true, disabled: false });
  const listed = row.or(on).first();
  for (await listed.waitFor(); (await row.count()) === 0; await listed.waitFor()) await on.click();
  assert.match(await row.textContent(), /out_of_range.*bpm 901 is above 300.*rita\/watch/);
  await admin.expectSound("refused-one");
  await row.getByRole("button", { name: "Try again" }).click();
  await row.locator(".acts", { hasText: "out_of_range" }).waitFor(); // nothing was mended
  await admin.context.close();
});

// Pages as they look: a person of a fixed spring day, at a fixed hour, beside what they looked like before.
// UPDATE=1 npm run e2e writes e2e/baseline/ anew; what differs is in e2e/shots/, as NAME.png and NAME-differs.png.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { skip, stage } from "./stage.mjs";
import { SIZES, Visitor } from "./visitor.mjs";

const BASELINE = new URL("baseline/", import.meta.url).pathname;
const SHOTS = new URL("shots/", import.meta.url).pathname;
const DAY = Date.UTC(2025, 2, 14);
const NOW = new Date(DAY + 20 * 3_600_000);
const MINUTE = 60_000;
const DAY_MS = 86_400_000;
/** Of 255: how far a colour may be off, and how many in a thousand may be further. */
const NEAR = 40;
const THOUSANDTHS = 5;

const iso = (ms) => new Date(ms).toISOString();

/** A day with a night, a run, meals and readings, after six weeks of a calm heart. */
function life() {
  const events = [];
  const add = (id, type, at, value, until) =>
    events.push({
      id,
      type,
      start_time: iso(at),
      utc_offset: 0,
      value,
      ...(until === undefined ? {} : { end_time: iso(until) }),
    });
  for (let minute = 0; minute < 20 * 60; minute += 5) {
    const run = minute >= 17 * 60 && minute < 17 * 60 + 40;
    const calm = minute < 7 * 60 ? 52 : 68;
    const bpm = Math.round((run ? 148 : calm) + 6 * Math.sin(minute / 37) + 3 * Math.sin(minute / 11));
    add(`hr-${minute}`, "heart_rate", DAY + minute * MINUTE, { bpm });
  }
  for (let hour = 7; hour < 20; hour += 1) {
    const at = DAY + hour * 60 * MINUTE;
    add(`st-${hour}`, "steps", at, { steps: hour === 17 ? 5200 : 300 + ((hour * 137) % 500) }, at + 60 * MINUTE);
  }
  const night = [
    ["light", 0, 70],
    ["deep", 70, 150],
    ["light", 150, 210],
    ["rem", 210, 255],
    ["awake", 255, 262],
    ["light", 262, 345],
    ["rem", 345, 400],
  ];
  const stages = night.map(([name, from, to]) => ({
    stage: name,
    start_time: iso(DAY + (20 + from) * MINUTE),
    end_time: iso(DAY + (20 + to) * MINUTE),
  }));
  add("sleep", "sleep", DAY + 20 * MINUTE, { stages }, DAY + 420 * MINUTE);
  const run = { activity: "running", distance_m: 6840, energy_kcal: 512 };
  add("run", "workout", DAY + 17 * 60 * MINUTE, run, DAY + (17 * 60 + 40) * MINUTE);
  const breakfast = { meal: "breakfast", items: [{ name: "Oats", energy_kcal: 320 }, { name: "Apple" }] };
  add("oats", "food", DAY + 7.5 * 60 * MINUTE, breakfast);
  add("scale", "weight", DAY + 7 * 60 * MINUTE, { kg: 68.4 });
  add("cuff", "blood_pressure", DAY + 8 * 60 * MINUTE, { systolic: 118, diastolic: 76 });
  for (let ago = 0; ago < 42; ago += 1) {
    const bpm = ago < 2 ? 74 + (1 - ago) : 58 + (ago % 3);
    add(`rest-${ago}`, "resting_heart_rate", DAY - ago * DAY_MS + 7 * 60 * MINUTE, { bpm });
  }
  return events;
}

/** Vera, whose days are there, with what was found of them. */
async function vera() {
  const { service, browser } = stage;
  await service.cli("user", "add", "vera", "--consent", "all");
  const { token } = await service.cli("device", "add", "vera", "watch");
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const headers = { authorization: `Bearer ${token}` };
  const events = life();
  const answer = await context.request.post(`${service.url}/v1/events`, { headers, data: events });
  const receipt = await answer.json();
  assert.equal(receipt.stored, events.length, JSON.stringify(receipt).slice(0, 400));
  for (let found = []; found.length === 0;) {
    const page = await context.request.get(`${service.url}/v1/users/vera/insights?since=2025-03-14`, { headers });
    found = (await page.json()).insights ?? [];
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  await context.close();
}

const PAGES = [
  ["today", "desktop", "#/day/2025-03-14", ".figures .spark path"],
  ["today", "phone", "#/day/2025-03-14", ".figures .spark path"],
  ["heart", "desktop", "#/charts/heart_rate?span=day", '.plot[data-drawn="heart_rate"]'],
  ["add", "phone", "#/add", ".entry"],
  ["sharing", "desktop", "#/sharing", ".purposes .switch"],
  ["button", "watch", "#/button", ".face button"],
  ["button", "round", "#/button", ".face button"],
];

test("pages look as they did", { skip, timeout: 600_000 }, async () => {
  await vera();
  const visitor = await Visitor.arrive(stage, "desktop");
  const { page } = visitor;
  await page.emulateMedia({ reducedMotion: "reduce", colorScheme: "light" });
  await page.clock.setFixedTime(NOW);
  await visitor.signIn("user", "invite", "vera");
  const others = [];
  for (const [name, size, hash, ready] of PAGES) {
    await page.setViewportSize(SIZES[size]);
    visitor.size = size;
    await visitor.go(hash, ready);
    if (name === "today") await page.waitForSelector("h2:has-text('What stands out')");
    if (size === "round") await expectWithinCircle(page, SIZES.round);
    await page.evaluate(() => document.fonts.ready.then(() => undefined));
    await visitor.expectSound(`looks-${name}`);
    others.push(await differenceOf(`${name}-${size}`, await settled(page)));
  }
  assert.deepEqual(others.filter(Boolean), []);
  await visitor.context.close();
});

/** A screenshot that the next one is equal to. */
async function settled(page) {
  for (let before; ;) {
    const shot = await page.screenshot({ animations: "disabled", caret: "hide" });
    if (before?.equals(shot)) return shot;
    before = shot;
    await page.waitForTimeout(200);
  }
}

/** On a round screen nothing that is read or pressed is cut off. */
async function expectWithinCircle(page, { width }) {
  const boxes = await page.evaluate(() =>
    [...document.querySelectorAll(".face button b, .face > a, .face select")].map((each) => {
      const { left, top, right, bottom } = each.getBoundingClientRect();
      return { what: each.tagName, left, top, right, bottom };
    }),
  );
  const radius = width / 2;
  assert.ok(boxes.length >= 3);
  for (const { what, left, top, right, bottom } of boxes) {
    for (const [x, y] of [
      [left, top],
      [right, top],
      [left, bottom],
      [right, bottom],
    ]) {
      const off = Math.hypot(x - radius, y - radius);
      assert.ok(off <= radius, `${what} reaches ${Math.round(off - radius)} px beyond a round screen`);
    }
  }
}

/** What is different, in words; nothing where it is near enough. */
async function differenceOf(name, shot) {
  const place = join(BASELINE, `${name}.png`);
  if (process.env.UPDATE === "1" || !existsSync(place)) {
    assert.ok(process.env.UPDATE === "1" || !process.env.CI, `${name} has no baseline`);
    mkdirSync(BASELINE, { recursive: true });
    writeFileSync(place, shot);
    return "";
  }
  const page = await stage.browser.newPage();
  const { differing, all, picture } = await page.evaluate(differences, {
    before: readFileSync(place).toString("base64"),
    now: shot.toString("base64"),
    near: NEAR,
  });
  await page.close();
  if (differing * 1000 <= all * THOUSANDTHS) return "";
  mkdirSync(SHOTS, { recursive: true });
  writeFileSync(join(SHOTS, `${name}.png`), shot);
  writeFileSync(join(SHOTS, `${name}-differs.png`), Buffer.from(picture, "base64"));
  return `${name}: ${differing} of ${all} pixels are others; see e2e/shots/${name}-differs.png, UPDATE=1 keeps what is new`;
}

/** In a page, which has a decoder of pictures. */
async function differences({ before, now, near }) {
  const read = async (text) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    const context = canvas.getContext("2d");
    context.drawImage(bitmap, 0, 0);
    return { canvas, context, data: context.getImageData(0, 0, bitmap.width, bitmap.height) };
  };
  const [one, other] = [await read(before), await read(now)];
  const all = other.data.width * other.data.height;
  if (one.data.width !== other.data.width || one.data.height !== other.data.height) {
    return { differing: all, all, picture: now };
  }
  const [a, b] = [one.data.data, other.data.data];
  let differing = 0;
  for (let at = 0; at < a.length; at += 4) {
    const off = Math.max(Math.abs(a[at] - b[at]), Math.abs(a[at + 1] - b[at + 1]), Math.abs(a[at + 2] - b[at + 2]));
    if (off <= near) continue;
    differing += 1;
    b.set([255, 0, 255, 255], at);
  }
  other.context.putImageData(other.data, 0, 0);
  const blob = await other.canvas.convertToBlob();
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return { differing, all, picture: btoa(text) };
}

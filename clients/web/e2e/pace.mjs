// How fast pictures come and move: node e2e/pace.mjs LINK TYPE… prints [{type, shown_ms, frames_per_s}].
import { launch, useLink } from "./visitor.mjs";

const [link, ...types] = process.argv.slice(2);
const DRAG_MS = 2_000;

const browser = await launch({ url: link });
const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1280, height: 900 } });
const page = await context.newPage();
await useLink(page, link);
await page.waitForSelector(".frame");
const found = [];
for (const type of types) {
  await page.evaluate(() => {
    location.hash = "#/settings";
  });
  await page.waitForSelector("fieldset");
  const shown_ms = await page.evaluate(async (name) => {
    const begun = performance.now();
    location.hash = `#/charts/${name}?span=year`;
    for (;;) {
      await new Promise(requestAnimationFrame);
      if (document.querySelector(`.plot[data-drawn="${name}"]`)) return performance.now() - begun;
    }
  }, type);
  const box = await page.locator(".u-over").boundingBox();
  const [y, left, right] = [box.y + box.height / 2, box.x + 40, box.x + box.width - 40];
  await page.evaluate(() => {
    globalThis.frames_ = [];
    const count = (at) => {
      globalThis.frames_.push(at);
      globalThis.counting_ = requestAnimationFrame(count);
    };
    globalThis.counting_ = requestAnimationFrame(count);
  });
  await page.mouse.move(right, y);
  await page.mouse.down();
  const begun = Date.now();
  for (let part = 0; Date.now() - begun < DRAG_MS; part = (part + 0.02) % 1) {
    await page.mouse.move(right + (left - right) * Math.abs(1 - 2 * part), y);
  }
  await page.mouse.up();
  const frames = await page.evaluate(() => {
    cancelAnimationFrame(globalThis.counting_);
    return globalThis.frames_;
  });
  const frames_per_s = ((frames.length - 1) * 1000) / (frames.at(-1) - frames[0]);
  found.push({ type, shown_ms: Math.round(shown_ms), frames_per_s: Math.round(frames_per_s * 10) / 10 });
}
await browser.close();
console.log(JSON.stringify(found));

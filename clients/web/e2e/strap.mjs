// A heart-rate strap: Chromium has no Bluetooth here, so the page finds one that a test wears, of what Web Bluetooth
// documents for devices, GATT servers and characteristics, and nothing else. What it says is the Heart Rate Service's.
import assert from "node:assert/strict";
import { test } from "node:test";
import { skip, stage } from "./stage.mjs";
import { Visitor } from "./visitor.mjs";

/** In the page, before any of its scripts: `strap` is what the test does with it. */
function wornStrap() {
  const error = (name) => new DOMException("as Web Bluetooth has it", name);
  const measurement = Object.assign(new EventTarget(), {
    notifying: false,
    async startNotifications() {
      if (!strap.connected) throw error("NetworkError");
      measurement.notifying = true;
      return measurement;
    },
  });
  const service = {
    async getCharacteristic(name) {
      if (name !== "heart_rate_measurement") throw error("NotFoundError");
      return measurement;
    },
  };
  const device = Object.assign(new EventTarget(), {
    gatt: {
      async connect() {
        if (!strap.near) throw error("NetworkError");
        strap.connected = true;
        return {
          async getPrimaryService(name) {
            if (name !== "heart_rate") throw error("NotFoundError");
            return service;
          },
        };
      },
      disconnect: () => strap.leave(),
    },
  });
  const strap = {
    near: true,
    chosen: true,
    connected: false,
    say(...bytes) {
      if (!measurement.notifying) throw new Error("nobody listens");
      measurement.value = new DataView(Uint8Array.from(bytes).buffer);
      measurement.dispatchEvent(new Event("characteristicvaluechanged"));
    },
    leave() {
      if (!strap.connected) return;
      strap.connected = measurement.notifying = false;
      device.dispatchEvent(new Event("gattserverdisconnected"));
    },
  };
  const bluetooth = {
    async requestDevice({ filters }) {
      if (!navigator.userActivation.isActive) throw error("SecurityError");
      if (JSON.stringify(filters) !== '[{"services":["heart_rate"]}]') throw new TypeError("other filters");
      if (!strap.chosen) throw error("NotFoundError");
      return device;
    },
  };
  Object.defineProperty(navigator, "bluetooth", { value: bluetooth });
  globalThis.strap = strap;
}

const set = (page, changed) => page.evaluate((to) => void Object.assign(globalThis.strap, to), changed);
const said = (page, ...bytes) => page.evaluate((each) => globalThis.strap.say(...each), bytes);

test("a strap is read: what it says is shown and stored, and what it does not say is neither", { skip }, async () => {
  await stage.service.cli("user", "add", "sven", "--consent", "all");
  const sven = await Visitor.arrive(stage, "phone");
  const { page } = sven;
  await page.addInitScript(wornStrap);
  await sven.signIn("user", "invite", "sven");
  await sven.go("#/add", "h2:has-text('Heart-rate strap')");
  const connect = page.getByRole("button", { name: "Connect" });

  await set(page, { chosen: false });
  await connect.click(); // the list is closed
  await set(page, { chosen: true, near: false });
  await connect.click();
  await page.waitForSelector("[role=alert]");
  await set(page, { near: true });
  await connect.click();
  await page.waitForSelector("text=Waiting for the heart");
  await sven.expectSound("strap-waiting");
  await said(page, 0x04, 70); // it can tell, and touches nobody
  await said(page, 0x06); // cut off
  assert.equal(await page.locator("b", { hasText: "/min" }).count(), 0);
  await said(page, 0x16, 143, 0x34, 0x02); // with an interval between beats
  await page.waitForSelector("b:has-text('143 /min')");
  await said(page, 0x01, 0x2c, 0x01); // 16 bits
  await page.waitForSelector("b:has-text('300 /min')");
  await sven.expectSound("strap");
  await page.evaluate(() => globalThis.strap.leave());
  await page.waitForSelector("text=The strap has gone");
  await connect.click();
  await page.getByRole("button", { name: "Stop" }).click();
  await connect.waitFor();
  assert.equal(await page.locator("text=The strap has gone").count(), 0);
  assert.equal(await page.evaluate(() => globalThis.strap.connected), false);

  const wanted = ["--user", "sven", "--type", "heart_rate", "--app", "HealthSync web"];
  await page.waitForFunction(() => document.querySelector(".waiting") === null);
  const rates = (await stage.service.lines("events", "list", ...wanted)).map(({ value }) => value.bpm);
  assert.ok(rates.includes(143) && !rates.includes(70), JSON.stringify(rates));
  await sven.context.close();
});

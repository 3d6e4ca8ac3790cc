// A person in a browser, who notices what no page may have: an error in the console, a request to another host, a
// fault that axe finds.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { PUBLIC_URL } from "./service.mjs";

const BROWSERS = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const SHOTS = new URL("shots/", import.meta.url).pathname;
export const PATIENCE_MS = 60_000;
export const SIZES = {
  desktop: { width: 1280, height: 900 },
  phone: { width: 390, height: 844 },
  watch: { width: 198, height: 242 },
  round: { width: 240, height: 240 },
};
/** Those on which all of the app is looked at; a watch has one page. */
export const WHOLE = ["desktop", "phone"];

/** Why nothing can be tried in a browser here; false where it can. In CI that is a failure. */
export function missingBrowser() {
  if (browserPath() !== undefined) return false;
  assert.ok(!process.env.CI || ["0", "false"].includes(process.env.CI), "CI has no Chromium");
  return "there is no Chromium";
}

/** Chromium, or undefined where there is none. */
export function browserPath() {
  return BROWSERS.find((path) => path !== undefined && existsSync(path));
}

/** A browser that finds the service at its public name, too. */
export async function launch(service) {
  const rule = `MAP ${new URL(PUBLIC_URL).hostname} ${new URL(service.url).host}`;
  // The service's certificate is of its own CA; root in a container has no sandbox.
  return await chromium.launch({
    executablePath: browserPath(),
    args: ["--no-sandbox", "--ignore-certificate-errors", "--disable-dev-shm-usage", `--host-resolver-rules=${rule}`],
  });
}

/** Open a link, and press its button: looking alone signs nobody in. */
export async function useLink(page, link) {
  await page.goto(link);
  await page.getByRole("button", { name: "Sign in" }).click();
}

export class Visitor {
  static async arrive({ browser, service }, size, { at = service.url, also = [], ...more } = {}) {
    const context = await browser.newContext({
      ignoreHTTPSErrors: true,
      viewport: SIZES[size],
      locale: "en-GB",
      timezoneId: "UTC",
      ...more,
    });
    context.setDefaultTimeout(PATIENCE_MS);
    const page = await context.newPage();
    return new Visitor(context, page, service, size, at, also);
  }

  constructor(context, page, service, size, at, also) {
    this.context = context;
    this.page = page;
    this.service = service;
    this.size = size;
    this.at = at;
    this.faults = [];
    this.offline = false;
    page.on("console", (message) => {
      if (!["error", "warning"].includes(message.type())) return;
      // What the browser itself says of each request that does not get through, to the service or past its worker.
      if (this.offline && message.text().startsWith("Failed to load resource: net::ERR_")) return;
      this.faults.push(`console: ${message.text()}`);
    });
    page.on("pageerror", (error) => this.faults.push(`script: ${error.message}`));
    page.on("request", (request) => {
      const url = new URL(request.url());
      if (url.protocol.startsWith("http") && ![at, ...also].includes(url.origin))
        this.faults.push(`another host: ${url}`);
    });
  }

  /** Open an invitation; afterwards the app is there. */
  async signIn(...words) {
    const { url } = await this.service.cli(...words);
    await useLink(this.page, `${this.at}${new URL(url).pathname}`);
    await this.page.waitForURL(`${this.at}/`);
    await this.page.waitForSelector("main h1");
  }

  /** Another page of the app, once `ready` is on it: the page of before, which may have the like, is gone by then. */
  async go(hash, ready) {
    await this.page.evaluate(async (to) => {
      if (location.hash === to) return;
      const changed = new Promise((resolve) => addEventListener("hashchange", resolve, { once: true }));
      location.hash = to;
      await changed;
    }, hash);
    await this.page.waitForSelector(ready).catch(async (error) => {
      error.message += `\non the page: ${await this.page.locator("body").innerText()}\n${this.faults.join("\n")}`;
      throw error;
    });
  }

  async setOffline(offline) {
    this.offline = offline;
    await this.context.setOffline(offline);
  }

  async resize(size) {
    this.size = size;
    await this.page.setViewportSize(SIZES[size]);
  }

  /** Nothing is wrong with what is open now. */
  async expectSound(name) {
    await this.page.evaluate(AXE);
    const { violations } = await this.page.evaluate(() =>
      globalThis.axe.run(document, { resultTypes: ["violations"] }),
    );
    const found = violations.map(
      ({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`,
    );
    assert.deepEqual(found, [], `axe on ${name}`);
    const wide = await this.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wide <= 0, `${name} is ${wide} px wider than its screen`);
    assert.deepEqual(this.faults, [], name);
    mkdirSync(SHOTS, { recursive: true });
    await this.page.screenshot({ path: join(SHOTS, `${name}-${this.size}.png`) });
  }
}

// Entries made offline while the page, and the browser, are killed at random: each is stored once when the network is back.
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { chromium } from "playwright-core";
import { build } from "vite";
import { Service } from "./service.mjs";
import { browserPath, missingBrowser, PATIENCE_MS } from "./visitor.mjs";

/** Entries in all; npm run e2e takes some seconds for the usual ones, and E2E_ENTRIES=1000 some minutes. */
const COUNT = Number(process.env.E2E_ENTRIES ?? 100);
/** Entries in one request: so many that some requests are answered between two kills. */
const BATCH = Math.ceil(COUNT / 50);
/** Whoever has not come to an end by then never will. */
const HANGS_MS = 900_000;
/** Elsewhere only its page is killed. */
const KILLS_BROWSER = process.platform === "linux";
const CLIENT = new URL("../../typescript/src/", import.meta.url).pathname;
const PAGE = new URL("killed_page.js", import.meta.url).pathname;
const HTML = '<!doctype html><title>killed</title><script type="module" src="/killed.js"></script>';

const random = (least, most) => Math.floor(least + Math.random() * (most - least));

/** The page's program with the client in it, built from its sources. */
async function program() {
  const alias = [
    { find: /^@healthsync\/client\/browser$/, replacement: `${CLIENT}browser/index.ts` },
    { find: /^@healthsync\/client$/, replacement: `${CLIENT}index.ts` },
  ];
  const lib = { entry: PAGE, formats: ["es"], fileName: "killed" };
  const built = await build({
    configFile: false,
    logLevel: "silent",
    resolve: { alias },
    build: { write: false, lib },
  });
  return (Array.isArray(built) ? built[0] : built).output[0].code;
}

/** A browser with a profile of its own, which is there again after a kill. */
class Killable {
  constructor(service, profile, code) {
    Object.assign(this, { service, profile, code, context: undefined });
  }

  async open() {
    if (this.context) return this.context;
    this.context = await chromium.launchPersistentContext(this.profile, {
      executablePath: browserPath(),
      ignoreHTTPSErrors: true,
      args: ["--no-sandbox", "--disable-dev-shm-usage"],
    });
    this.context.setDefaultTimeout(PATIENCE_MS);
    return this.context;
  }

  /** Run the page until it has said `deeds` words, and kill it then; whether it was done before. */
  async run(token, online, deeds, killsBrowser) {
    const context = await this.open();
    const page = await context.newPage();
    const { url } = this.service;
    await page.route(`${url}/killed.html`, (route) => route.fulfill({ contentType: "text/html", body: HTML }));
    await page.route(`${url}/killed.js`, (route) => route.fulfill({ contentType: "text/javascript", body: this.code }));
    if (!online) await page.route(`${url}/v1/**`, (route) => route.abort("internetdisconnected"));
    const crashes = await context.newCDPSession(page);
    let said = 0;
    const over = new Promise((resolve) => {
      page.on("crash", () => resolve(false));
      context.on("close", () => resolve(false));
      void page.exposeFunction("say", (word) => {
        said += 1;
        if (word === "done") resolve(true);
        else if (said === deeds && killsBrowser) this.killBrowser();
        else if (said === deeds) crashes.send("Page.crash").catch(() => undefined);
      });
    });
    await page.goto(`${url}/killed.html`);
    await page.waitForFunction(() => "begin" in globalThis);
    // It does not come to its end where it is killed.
    page.evaluate((words) => globalThis.begin(...words), [token, COUNT, BATCH, online]).catch(() => undefined);
    const done = await over;
    if (killsBrowser && !done) this.context = undefined;
    else await page.close();
    return done;
  }

  /** SIGKILL for each process that has our profile. */
  killBrowser() {
    const option = `--user-data-dir=${this.profile}`;
    for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
        if (words.includes(option)) process.kill(Number(pid), "SIGKILL");
      } catch {
        // it has ended by itself
      }
    }
  }

  async stored(token, user) {
    const { request } = await this.open();
    const ids = [];
    for (let since = "", more = true; more;) {
      const query = `user=${user}&limit=500${since && `&since=${since}`}`;
      const answer = await request.get(`${this.service.url}/v1/changes?${query}`, {
        headers: { authorization: `Bearer ${token}` },
      });
      const page = await answer.json();
      ids.push(...page.events.map(({ id }) => id));
      ({ since, more } = page);
    }
    return ids;
  }
}

describe("an outbox in a browser", { skip: missingBrowser() }, () => {
  let browser;
  let profile;
  let service;

  before(async () => {
    profile = mkdtempSync(join(tmpdir(), "healthsync-kill-"));
    service = await Service.start();
    browser = new Killable(service, profile, await program());
  });

  after(async () => {
    await browser?.context?.close();
    await service?.stop();
    rmSync(profile, { recursive: true, force: true });
  });

  it(`has each of ${COUNT} entries stored once, wherever its page is killed`, { timeout: HANGS_MS }, async () => {
    await service.cli("user", "add", "kim", "--consent", "all");
    const { token } = await service.cli("device", "add", "kim", "browser");
    const kills = { offline: 0, online: 0 };

    while (!(await browser.run(token, false, random(COUNT * 0.15, COUNT * 0.35), KILLS_BROWSER && kills.offline === 1)))
      kills.offline += 1;
    while (!(await browser.run(token, true, random(5, 14), KILLS_BROWSER && kills.online === 1))) kills.online += 1;

    const stored = await browser.stored(token, "kim");
    assert.equal(stored.length, COUNT);
    assert.equal(new Set(stored).size, COUNT);
    assert.ok(kills.offline >= 2 && kills.online >= 2, JSON.stringify(kills));
  });
});

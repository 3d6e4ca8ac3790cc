import { readdirSync, readFileSync, statSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { join } from "node:path";
import { expect, test } from "vitest";

const SITE = new URL("../../../healthsync_mqtt/gateway/site/", import.meta.url).pathname;
const MOST = 250_000;

function built(): string[] {
  try {
    return readdirSync(SITE, { recursive: true }).map(String);
  } catch {
    return [];
  }
}

test.skipIf(built().length === 0)("all that the app may load, fonts too, has at most 250 kB as it is sent", () => {
  const files = built().filter((name) => /\.(html|js|css|woff2)$/.test(name));
  const size = files.reduce((sum, name) => {
    const bytes = readFileSync(join(SITE, name));
    return sum + (name.endsWith(".woff2") ? statSync(join(SITE, name)).size : gzipSync(bytes, { level: 9 }).length);
  }, 0);
  expect(files.length).toBeGreaterThan(3);
  expect(size).toBeLessThan(MOST);
});

import { readdirSync, readFileSync, statSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { join } from "node:path";
import { expect, test } from "vitest";

const SITE = new URL("../../../healthsync_mqtt/gateway/site/", import.meta.url).pathname;
const MOST = 250_000;
const MOST_EVER = 400_000;

function built(): string[] {
  try {
    return readdirSync(SITE, { recursive: true }).map(String);
  } catch {
    return [];
  }
}

function sent(names: readonly string[]): number {
  return names.reduce((sum, name) => {
    const bytes = readFileSync(join(SITE, name));
    return sum + (name.endsWith(".woff2") ? statSync(join(SITE, name)).size : gzipSync(bytes, { level: 9 }).length);
  }, 0);
}

/** The page, what it names, what that imports before it runs, and the fonts. */
function first(): string[] {
  const found = ["index.html"];
  for (const name of found) {
    const text = readFileSync(join(SITE, name), "utf8");
    const imports = name.endsWith(".js") ? text.matchAll(/(?:\bfrom|\bimport)\s*"\.\/([^"]+)"/g) : [];
    const named = name.endsWith(".html") ? text.matchAll(/"\/assets\/([^"]+\.(?:js|css))"/g) : [];
    for (const [, file = ""] of [...imports, ...named]) {
      const path = `assets/${file}`;
      if (!found.includes(path)) found.push(path);
    }
  }
  return [...found, ...built().filter((name) => name.endsWith(".woff2"))];
}

test.skipIf(built().length === 0)(
  "what the app loads to begin with, fonts too, has at most 250 kB as it is sent",
  () => {
    const files = first();
    expect(files.filter((name) => name.endsWith(".js")).length).toBeGreaterThan(0);
    expect(files.filter((name) => name.endsWith(".css")).length).toBeGreaterThan(0);
    expect(sent(files)).toBeLessThan(MOST);
  },
);

test.skipIf(built().length === 0)("all that it may ever load stays bounded", () => {
  expect(sent(built().filter((name) => /\.(html|js|css|woff2)$/.test(name)))).toBeLessThan(MOST_EVER);
});

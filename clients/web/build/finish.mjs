// After Vite: the service worker with the names of what was built, and each file compressed once as well as it can be.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "vite";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const site = new URL("../../../healthsync_mqtt/gateway/site/", import.meta.url).pathname;
const worker = new URL("../src/worker/sw.ts", import.meta.url).pathname;
const packed = /\.(html|js|css|svg|webmanifest|json)$/;

const built = readdirSync(site, { recursive: true })
  .map(String)
  .filter((name) => statSync(join(site, name)).isFile())
  .sort();

const sum = createHash("sha256");
for (const name of built) sum.update(name).update(readFileSync(join(site, name)));
const shell = built.filter((name) => !name.endsWith(".png")).map((name) => (name === "index.html" ? "/" : `/${name}`));
// One file: a service worker that imports others would be another one when they are.
const bundle = await build({
  configFile: new URL("../vite.config.ts", import.meta.url).pathname,
  logLevel: "warn",
  build: {
    write: false,
    lib: { entry: worker, formats: ["iife"], name: "worker", fileName: "worker" },
  },
});
const code = (Array.isArray(bundle) ? bundle[0] : bundle).output[0].code;
sum.update(code);
const text = code
  .replace("__FILES__", () => JSON.stringify(shell))
  .replace("__BUILD__", () => JSON.stringify(sum.digest("hex").slice(0, 12)));
writeFileSync(join(site, "sw.js"), text);

for (const name of [...built, "sw.js"]) {
  if (!packed.test(name)) continue;
  const bytes = readFileSync(join(site, name));
  const brotli = { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } };
  writeFileSync(join(site, `${name}.br`), brotliCompressSync(bytes, brotli));
  writeFileSync(join(site, `${name}.gz`), gzipSync(bytes, { level: 9 }));
}

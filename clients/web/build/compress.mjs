// Each built file beside itself, compressed once as well as it can be: the gateway only chooses among them.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const site = new URL("../../../healthsync_mqtt/gateway/site/", import.meta.url).pathname;
const packed = /\.(html|js|css|svg|webmanifest|json)$/;

for (const entry of readdirSync(site, { recursive: true })) {
  const path = join(site, entry);
  if (!packed.test(path)) continue;
  const bytes = readFileSync(path);
  const brotli = { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } };
  writeFileSync(`${path}.br`, brotliCompressSync(bytes, brotli));
  writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
}

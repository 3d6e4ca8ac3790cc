import { defineConfig } from "vite";

// The gateway serves what is built from memory, beside its own code; the wheel takes it from there.
// The client is built from its sources: nothing of it has to be built or installed before.
const client = new URL("../typescript/src/", import.meta.url).pathname;

export default defineConfig({
  resolve: {
    alias: [
      { find: /^@healthsync\/client\/browser$/, replacement: `${client}browser/index.ts` },
      { find: /^@healthsync\/client$/, replacement: `${client}index.ts` },
    ],
  },
  build: {
    outDir: "../../healthsync_mqtt/gateway/site",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
});

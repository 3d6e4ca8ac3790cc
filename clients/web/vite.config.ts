import { defineConfig } from "vite";

// The gateway serves what is built from memory, beside its own code; the wheel takes it from there.
export default defineConfig({
  build: {
    outDir: "../../healthsync_mqtt/gateway/site",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
});

import { defineConfig } from "vitest/config";

process.env.TZ = "Europe/Berlin"; // a zone whose days are not all as long

export default defineConfig({
  test: { include: ["test/*.test.ts"], pool: "threads", maxWorkers: 2 },
});

// Runs the tests of dist/test against one real service. Words: names of test files, such as `device`.
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { program, startService } from "./service.mjs";

const folder = fileURLToPath(new URL("../dist/test", import.meta.url));
const wanted = process.argv.slice(2);
const files = readdirSync(folder)
  .filter((name) => name.endsWith(".test.js"))
  .filter((name) => !wanted.length || wanted.some((word) => name.startsWith(word)))
  .map((name) => `${folder}/${name}`);

const service = await startService();
try {
  const { ready } = service;
  const { token } = await service.cli("admin", "add", "root");
  const env = {
    ...process.env,
    HEALTHSYNC_TEST_READY: JSON.stringify(ready),
    HEALTHSYNC_TEST_ADMIN: token,
    HEALTHSYNC_DATA: service.data,
    HEALTHSYNC: program(),
    NODE_EXTRA_CA_CERTS: ready.ca_file,
  };
  const tests = spawn(process.execPath, ["--enable-source-maps", "--test", "--test-force-exit", ...files], {
    env,
    stdio: "inherit",
  });
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => tests.kill(signal));
  process.exitCode = await new Promise((resolve) => tests.once("exit", (status) => resolve(status ?? 1)));
} finally {
  await service.stop();
}

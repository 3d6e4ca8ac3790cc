/** Entries made offline while the program is killed at random are stored once when the network is back. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { changesSince } from "@healthsync/client";
import { readings } from "./support/readings.js";
import { gateway, newDevice, ready } from "./support/service.js";

const PROGRAM = fileURLToPath(new URL("support/killed_device.js", import.meta.url));
const COUNT = 1_000;
/** Whoever has not come to an end by then never will. */
const HANGS_MS = 900_000;

/** Runs the device, and kills it when it has done so many things; whether it came to its end before. */
async function killedAfter(deeds: number, ...words: string[]): Promise<boolean> {
  const child = spawn(process.execPath, [PROGRAM, ...words], { stdio: ["ignore", "pipe", "inherit"] });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  let [done, lines] = [false, 0];
  if (deeds === 0) child.once("spawn", () => setImmediate(() => child.kill("SIGKILL")));
  createInterface({ input: child.stdout }).on("line", (line) => {
    done ||= line === "done";
    if ((lines += 1) === deeds && !done) child.kill("SIGKILL");
  });
  await exited;
  return done;
}

describe("an outbox in a file", () => {
  it(`has each of ${COUNT} entries stored once, wherever the program is killed`, { timeout: HANGS_MS }, async () => {
    const folder = await mkdtemp(join(tmpdir(), "healthsync-kill-"));
    try {
      const device = await newDevice();
      const [file, credentials] = [join(folder, "outbox"), join(folder, "login.json")];
      await writeFile(credentials, JSON.stringify(device));
      const kills = { offline: 0, online: 0 };
      const random = (most: number): number => Math.floor(Math.random() * most);

      while (!(await killedAfter(50 + random(300), file, credentials, String(COUNT)))) kills.offline += 1;
      while (!(await killedAfter(1 + random(12), file, credentials, String(COUNT), ready.http))) kills.online += 1;

      const stored: string[] = [];
      for await (const page of changesSince(gateway(device.token), undefined, { user: device.user_id })) {
        stored.push(...page.events.map(({ id }) => id));
      }
      assert.equal(stored.length, COUNT);
      assert.deepEqual(
        [...stored].sort(),
        readings(COUNT, "k")
          .map(({ id }) => id)
          .sort(),
      );
      assert.ok(kills.offline >= 2 && kills.online >= 2, JSON.stringify(kills));
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

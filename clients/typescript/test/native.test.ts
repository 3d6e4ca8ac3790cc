import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { changesSince } from "@healthsync/client";
import { gateway, newDevice, ready } from "./support/service.js";

const COUNT = 60;
const REALM = fileURLToPath(new URL("support/bare_realm.js", import.meta.url));

describe("the core where there is the language and no more, as in React Native", () => {
  it("keeps what it was given over the end of its realm, and sends it from the next one", async () => {
    const { token } = await newDevice();
    const words = ["--experimental-vm-modules", "--no-warnings", REALM, ready.http, token, String(COUNT)];
    const { stdout } = await promisify(execFile)(process.execPath, words, { timeout: 120_000 });

    assert.deepEqual(JSON.parse(stdout), [`0 ${COUNT} wait`, "0 0 wait, 1 stored"]);
    const ids: string[] = [];
    for await (const { events } of changesSince(gateway(token))) ids.push(...events.map(({ id }) => id));
    assert.equal(ids.filter((id) => id.startsWith("bare-")).length, COUNT);
    assert.equal(new Set(ids).size, COUNT + 1);
  });
});

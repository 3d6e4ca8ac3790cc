/** The core in Hermes itself, the engine of React Native, with the `fetch` and the signals that are around it there. */

import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { changesSince } from "@healthsync/client";
import { Hermes, hermesPath, scriptOf } from "./support/hermes.js";
import { gateway, newDevice, ready } from "./support/service.js";

const COUNT = 60;
const path = hermesPath() ?? "";
const skip = path === "" && "hermes-engine-cli has no program for this machine";

describe("the core in Hermes", { skip }, () => {
  let script = "";
  before(async () => {
    script = await scriptOf(new URL("hermes/main.js", import.meta.url));
  });

  it("passes its own tests", async () => {
    const found = (await new Hermes(path, script).did("tests")) as Array<[name: string, wrong: string | null]>;
    assert.deepEqual(
      found.filter(([, wrong]) => wrong !== null),
      [],
    );
    assert.ok(found.length > 30, `${found.length} tests`);
  });

  it("keeps what it was given over its end, and sends it in its next life", async () => {
    const { token } = await newDevice();
    const given = { gateway: ready.http, token, count: COUNT };
    const stored = new Map<string, string>();

    assert.equal(await new Hermes(path, script, stored).did("first", given), `${COUNT} wait`);
    assert.equal(await new Hermes(path, script, stored).did("second", given), "0 wait, 1 stored");

    const ids: string[] = [];
    for await (const { events } of changesSince(gateway(token))) ids.push(...events.map(({ id }) => id));
    assert.equal(ids.filter((id) => id.startsWith("bare-")).length, COUNT);
    assert.equal(new Set(ids).size, COUNT + 1);
  });
});

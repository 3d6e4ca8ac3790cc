import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DeviceClient, enroll, firstApi, HttpTransport } from "@healthsync/client";
import { admin, gateway, newCode } from "./support/service.js";

describe("the functions of the first API's clients", () => {
  it("send and read events as they wrote them, and keep them while there is no network", async () => {
    const user = 10_000 + Math.floor(Math.random() * 1_000_000);
    await admin.call("POST /v1/users", { body: { user_id: String(user), consent: ["all"] } });
    const { token } = await enroll(gateway(), await newCode(String(user), "phone"));
    const client = new DeviceClient({ transport: new HttpTransport(gateway(token)) });
    const first = firstApi(gateway(token), client);
    const event = (id: string): { id: string; [name: string]: unknown } => ({
      id,
      user_id: user,
      type: "steps",
      start_time: "2026-11-22T10:00:00Z",
      end_time: "2026-11-22T10:15:00Z",
      value: { steps: 412, source: "com.google.android.gms" },
      device: { platform: "android", model: "phone" },
    });

    await first.enqueue(event("client-x-1"));
    assert.equal(await first.size(), 1);
    client.start();
    assert.equal(await first.flush(), true);

    assert.deepEqual(await first.sendEvent([event("client-x-1"), event("client-x-2")]), { received: 2 });
    const fetched = (await first.fetchEvents(user)) as Array<{ id: string; user_id: unknown }>;
    assert.deepEqual(
      fetched.map(({ id, user_id }) => [id, user_id]),
      [
        ["client-x-1", user],
        ["client-x-2", user],
      ],
    );
    await client.close();
  });
});

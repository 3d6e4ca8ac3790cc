import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type ClientState,
  type Credentials,
  DeniedError,
  DeviceClient,
  DeviceLogin,
  MemoryCredentialStore,
  TooLargeError,
} from "@healthsync/client";
import { enrollOverMqtt, MqttTransport, renewOverMqtt } from "@healthsync/client/mqtt";
import { readings } from "./support/readings.js";
import { cli, gateway, newCode, newDevice, newUser, ready } from "./support/service.js";

const places = { wss: `wss://${ready.wss}`, mqtts: `mqtts://${ready.mqtts}` };

async function stored(device: Credentials): Promise<string[]> {
  const page = await gateway(device.token).call("GET /v1/users/{user}/events", {
    path: { user: device.user_id },
    query: { limit: 1_000 },
  });
  return page.events.map(({ id }) => id);
}

describe("a device over MQTT", () => {
  for (const [way, url] of Object.entries(places)) {
    it(`is told per event what became of it, over ${way}, and goes on after its connection was ended`, async () => {
      const device = await newDevice();
      const login = DeviceLogin.of(device);
      const client = new DeviceClient({ transport: new MqttTransport({ url, login }), batchSize: 50 }).start();
      const bad = { id: "bad", type: "heart_rate", start_time: "2026-01-01T00:00:00Z", value: { bpm: 900 } };

      const results = await client.publish([...readings(120), bad]);
      assert.deepEqual([results.stored, results.duplicate, results.rejected], [120, 0, 1]);
      assert.equal(results.items.at(-1)?.reason, "out_of_range");

      const states: ClientState[] = [];
      const back = new Promise<void>((resolve) =>
        client.onChange(({ state }) => {
          states.push(state);
          if (state === "online") resolve();
        }),
      );
      await cli("client", "kick", device.client_id, "--yes");
      await back;
      assert.deepEqual(states, ["waiting", "connecting", "online"]);
      assert.equal((await client.publish(readings(130))).stored, 10);

      assert.equal(await client.close(), true);
      assert.equal((await stored(device)).length, 130);
    });
  }

  it("sends in parts what is longer than a packet may be", async () => {
    const device = await newDevice();
    const transport = new MqttTransport({ url: places.wss, login: DeviceLogin.of(device) });
    const link = await transport.connect(new AbortController().signal);
    try {
      await assert.rejects(link.send("b", JSON.stringify({ text: "x".repeat(1_100_000) })), (error) => {
        return error instanceof TooLargeError && (error.limit ?? 0) > 1_000_000;
      });
      const told = await link.send("b-1", JSON.stringify({ batch: "b-1", events: readings(2) }));
      assert.equal(told.stored, 2);
    } finally {
      await link.close();
    }
  });

  it("is denied with a token that is none", async () => {
    const device = { ...(await newDevice()), token: "nothing" };
    const transport = new MqttTransport({ url: places.wss, login: DeviceLogin.of(device) });

    await assert.rejects(transport.connect(new AbortController().signal), DeniedError);
  });

  it("enrols with a code and renews its tokens without a gateway", async () => {
    const user = await newUser();
    const code = await newCode(user);
    const store = new MemoryCredentialStore();
    const place = { url: places.wss };

    const credentials = await enrollOverMqtt(place, code, { store });
    await store.save({ credentials: { ...credentials, expires_at: new Date(0).toISOString() } });
    const login = new DeviceLogin(store, renewOverMqtt(place));
    const client = new DeviceClient({ transport: new MqttTransport({ ...place, login }) }).start();
    const results = await client.publish(readings(1));
    await client.close();

    assert.equal(results.stored, 1);
    const kept = (await store.load()).credentials;
    assert.notEqual(kept?.refresh_token, credentials.refresh_token);
    assert.equal(kept?.user_id, user);
    await assert.rejects(enrollOverMqtt(place, code), DeniedError);
  });
});

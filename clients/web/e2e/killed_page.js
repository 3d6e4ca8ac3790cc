// The page that kill.test.mjs kills: offline it hands over one entry after the other, going on where its outbox ends.
import { bearer, DeviceClient, HttpApi, HttpTransport } from "@healthsync/client";
import { exclusivelyInOrigin, IndexedDbOutbox, othersInOrigin } from "@healthsync/client/browser";

globalThis.begin = async (token, count, batchSize, online) => {
  const client = new DeviceClient({
    transport: new HttpTransport(new HttpApi({ baseUrl: "", authorization: bearer(token) })),
    outbox: new IndexedDbOutbox(),
    batchSize,
    exclusively: exclusivelyInOrigin("sender"),
    others: othersInOrigin("sender"),
  }).start();
  if (online) {
    client.onResults(() => globalThis.say("answered"));
    await client.drain();
  } else {
    for (let at = await client.outbox.waiting(); at < count; at += 1) {
      const start_time = new Date(Date.UTC(2026, 0, 1, 0, 0, at)).toISOString();
      await client.enqueue({ id: `k-${at}`, type: "heart_rate", start_time, value: { bpm: 60 + (at % 60) } });
      await globalThis.say("handed over");
    }
  }
  await globalThis.say("done");
};

// A device of MQTT 3.1.1 with MQTT.js that comes with a queue, as after a day without network. Reads a JSON object from
// stdin, prints one: its receipts until every event is in one, and how often its connection ended meanwhile.
import { readFileSync } from "node:fs";
import mqtt from "mqtt";

const asked = JSON.parse(readFileSync(0, "utf8"));
const login = {
  protocol: asked.protocol,
  host: asked.host,
  port: asked.port,
  path: "/mqtt",
  ca: asked.ca_file ? readFileSync(asked.ca_file) : undefined,
  protocolVersion: 4,
  clientId: asked.device.client_id,
  username: asked.device.username,
  password: asked.device.token,
  reconnectPeriod: 50,
};
// MQTT.js sends what is queued before it subscribes: it hears of the first only in a session that it had before. What a
// test before this one left is dropped.
for (const clean of [true, false]) {
  const before = await mqtt.connectAsync({ ...login, clean });
  await before.subscribeAsync(asked.receipts, { qos: 1 });
  await before.endAsync();
}
const device = mqtt.connect({ ...login, clean: false });
const receipts = [];
let ended = 0;
let acknowledged = 0;
device.on("close", () => ended++);
device.on("message", (_topic, payload) => {
  receipts.push(JSON.parse(payload));
  finish();
});
for (const { topic, payload, length, retain } of asked.queue)
  device.publish(topic, payload ?? " ".repeat(length), { qos: 1, retain }, () => {
    acknowledged++;
    finish();
  });

let done = false;
function finish() {
  const stored = new Set(receipts.flatMap((receipt) => receipt.stored ?? []));
  const rejected = receipts.reduce((sum, receipt) => sum + (receipt.rejected ?? []).length, 0);
  if (done || acknowledged < asked.queue.length || stored.size + rejected < asked.queue.length) return;
  done = true;
  console.log(JSON.stringify({ receipts, ended }));
  setImmediate(() => device.end()); // when the last receipt is acknowledged, too
}

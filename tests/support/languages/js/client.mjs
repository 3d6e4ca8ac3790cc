// One subscriber and one device of MQTT 5 with MQTT.js. Reads a JSON object from stdin, prints one.
import { readFileSync } from "node:fs";
import mqtt from "mqtt";

const asked = JSON.parse(readFileSync(0, "utf8"));

function connect(login) {
  return mqtt.connectAsync({
    protocol: asked.protocol,
    host: asked.host,
    port: asked.port,
    path: "/mqtt",
    ca: asked.ca_file ? readFileSync(asked.ca_file) : undefined,
    protocolVersion: 5,
    clientId: login.client_id,
    username: login.username,
    password: login.token,
    reconnectPeriod: 0,
  });
}

const reader = await connect(asked.subscriber);
const writer = await connect(asked.device);
const received = new Promise((resolve) => {
  reader.on("message", (_topic, payload, packet) =>
    resolve({ id: JSON.parse(payload).id, content_type: packet.properties?.contentType ?? "" }),
  );
});
await reader.subscribeAsync(asked.filter, { qos: 1 });
const acknowledged = new Promise((resolve) => {
  writer.on("packetreceive", (packet) => packet.cmd === "puback" && resolve(packet));
});
await writer.publishAsync(asked.topic, asked.event, { qos: 1 });
const answer = await acknowledged;
const message = await received;
const said = answer?.properties?.userProperties ?? {};
console.log(JSON.stringify({ ...message, reason: answer?.reasonCode ?? 0, stored: String(said.stored ?? "") }));
await reader.endAsync();
await writer.endAsync();

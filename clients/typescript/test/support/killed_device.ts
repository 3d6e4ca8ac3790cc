/**
 * A device that is killed at any moment: `node killed_device.js FILE CREDENTIALS COUNT GATEWAY`. Without a gateway it is
 * offline and hands over one entry after the other, going on where its outbox ends; with one it sends. It prints a line
 * for each thing that is done.
 */

import { readFile } from "node:fs/promises";
import { bearer, credentialsFrom, DeviceClient, HttpApi, HttpTransport } from "@healthsync/client";
import { fileOutbox } from "@healthsync/client/node";
import { readings } from "./readings.js";

const [, , file = "", credentials = "", count = "0", baseUrl = ""] = process.argv;
const { token } = credentialsFrom(JSON.parse(await readFile(credentials, "utf8")));
const api = new HttpApi({ baseUrl: baseUrl || "http://127.0.0.1:1", authorization: bearer(token) });
const client = new DeviceClient({ transport: new HttpTransport(api), outbox: fileOutbox(file), batchSize: 25 }).start();

if (!baseUrl) {
  const all = readings(Number(count), "k");
  for (const entry of all.slice(await client.outbox.waiting())) {
    await client.enqueue(entry);
    console.log("handed over");
  }
} else {
  client.onResults(() => console.log("answered"));
  await client.drain();
}
console.log("done");
await client.close(0);
process.exit();

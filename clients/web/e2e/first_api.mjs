// The front end of the first API, as it called that: arrays of events with a number for a user, and all of them again.
import assert from "node:assert/strict";
import { test } from "node:test";
import { skip, stage } from "./stage.mjs";
import { Visitor } from "./visitor.mjs";

/** In the page: the calls of that front end, with the token of a device of the user. */
async function asItWas(token) {
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${token}` };
  const sendEvent = async (event) => {
    const response = await fetch("/sync/events", { method: "POST", headers, body: JSON.stringify([event]) });
    return await response.json();
  };
  const fetchEvents = async (userId) => await (await fetch(`/events/${userId}`, { headers })).json();

  const socket = new WebSocket(`wss://${location.host}/ws`, ["healthsync", `bearer.${token}`]);
  await new Promise((resolve, reject) => Object.assign(socket, { onopen: resolve, onerror: reject }));
  const live = new Promise((resolve) => {
    socket.onmessage = ({ data }) => resolve(JSON.parse(data));
  });
  const device = { platform: "web", model: "browser" };
  const event = { user_id: 123, type: "heart_rate", start_time: "2026-11-22T10:00:00Z", value: { bpm: 72 }, device };
  const received = [await sendEvent({ id: "f-1", ...event }), await sendEvent({ id: "f-1", ...event })];
  received.push(await sendEvent({ id: "f-2", ...event, value: { bpm: 73 } }));
  const found = { received, events: await fetchEvents(123), live: await live };
  socket.close();
  return found;
}

test("the calls of the first API's front end work as they are, in a browser", { skip }, async () => {
  await stage.service.cli("user", "add", "123", "--consent", "all");
  const { token } = await stage.service.cli("device", "add", "123", "page");
  const visitor = await Visitor.arrive(stage, "desktop");
  await visitor.page.goto(stage.service.url);
  const { received, events, live } = await visitor.page.evaluate(asItWas, token);
  assert.deepEqual(received, [{ received: 1 }, { received: 1 }, { received: 1 }]);
  assert.deepEqual(
    events.map(({ id, user_id, value }) => [id, user_id, value]),
    [
      ["f-1", 123, { bpm: 72 }],
      ["f-2", 123, { bpm: 73 }],
    ],
  );
  assert.deepEqual([live.id, live.user_id, live.type], ["f-1", 123, "heart_rate"]);
  assert.deepEqual(visitor.faults, []);
  await visitor.context.close();
});

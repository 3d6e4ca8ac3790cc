import { expect, test } from "vitest";
import { ratesOf, type Status, troublesOf } from "../src/model/service";

const NOW = 1_795_000_000;
const good: Status = {
  running: true,
  healthy: true,
  version: "1",
  journal: { working: true },
  tasks_down: [],
  sinks: [{ sink: "influx", state: "shipping" }],
  certificates: { ca: NOW + 1e9, server: NOW + 90 * 86_400, clients: 0, clients_ending: 0 },
  totals: { events: 1, superseded: 0, rejected: 0, users: 1 },
};

test("what needs somebody is told, the worst first, and nothing where all works", () => {
  expect(troublesOf(good, NOW)).toEqual([]);
  expect(troublesOf({ ...good, running: false }, NOW)).toEqual([{ what: "stopped" }]);
  expect(troublesOf({ ...good, healthy: false }, NOW)).toEqual([{ what: "unhealthy" }]);
  const bad: Status = {
    ...good,
    journal: { working: false },
    tasks_down: ["canonical"],
    sinks: [{ sink: "influx", state: "paused" }],
    certificates: { ca: null, server: NOW + 3.5 * 86_400, clients: 0, clients_ending: 0 },
  };
  expect(troublesOf(bad, NOW)).toEqual([
    { what: "journal" },
    { what: "task", name: "canonical" },
    { what: "sink", name: "influx" },
    { what: "certificate", days: 3 },
  ]);
});

test("rates are between two looks of one run", () => {
  const at = (received: number): Status => ({
    ...good,
    counters: { received, stored: received, duplicate: 0, rejected: 0, in_flight: 0 },
  });
  expect(ratesOf(at(100), at(150), 2)).toEqual({ received: 25, stored: 25, rejected: 0 });
  expect(ratesOf(undefined, at(150), 2)).toBeNull();
  expect(ratesOf(at(150), at(10), 2)).toBeNull();
});

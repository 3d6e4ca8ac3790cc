/** How the service does, as an admin reads it. Pure. */

export interface Status {
  running: boolean;
  healthy?: boolean;
  version: string;
  uptime_s?: number;
  head?: number;
  connections?: number;
  subscriber_lag?: number;
  counters?: { received: number; stored: number; duplicate: number; rejected: number; in_flight: number };
  journal?: { working: boolean };
  tasks_down?: string[];
  sinks?: SinkState[];
  certificates?: { ca: number | null; server: number | null; clients: number; clients_ending: number };
  totals: { events: number; superseded: number; rejected: number; users: number };
}

export interface SinkState {
  sink: string;
  state?: string;
  lag?: number | null;
  error?: string | null;
}

export type Trouble =
  | { what: "stopped" | "journal" | "unhealthy" }
  | { what: "task" | "sink"; name: string }
  | { what: "certificate"; days: number };

const WORKING = new Set(["shipping", "idle", "running", "caught_up", "working", "starting"]);
const CERTIFICATE_DAYS = 14;

/** What needs somebody, the worst first; nothing where all works. `now_s` is in seconds since the epoch. */
export function troublesOf(status: Status, now_s: number): Trouble[] {
  if (!status.running) return [{ what: "stopped" }];
  const found: Trouble[] = [];
  if (status.journal?.working === false) found.push({ what: "journal" });
  for (const name of status.tasks_down ?? []) found.push({ what: "task", name });
  for (const { sink, state } of status.sinks ?? []) {
    if (state !== undefined && !WORKING.has(state)) found.push({ what: "sink", name: sink });
  }
  const server = status.certificates?.server;
  if (typeof server === "number" && server - now_s < CERTIFICATE_DAYS * 86_400) {
    found.push({ what: "certificate", days: Math.max(0, Math.floor((server - now_s) / 86_400)) });
  }
  if (found.length === 0 && status.healthy === false) found.push({ what: "unhealthy" });
  return found;
}

export interface Rates {
  received: number;
  stored: number;
  rejected: number;
}

/** Events a second between two looks; null before the second one, and when the service began anew between them. */
export function ratesOf(before: Status | undefined, now: Status, seconds: number): Rates | null {
  const [old, counters] = [before?.counters, now.counters];
  if (old === undefined || counters === undefined || seconds <= 0 || counters.received < old.received) return null;
  const rate = (name: keyof Rates): number => (counters[name] - old[name]) / seconds;
  return { received: rate("received"), stored: rate("stored"), rejected: rate("rejected") };
}

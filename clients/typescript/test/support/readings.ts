/** Events to send. */

/** `count` readings, with ids that begin with `name`. */
export function readings(count: number, name = "r"): Array<{ id: string; [name: string]: unknown }> {
  return Array.from({ length: count }, (_, at) => ({
    id: `${name}-${at}`,
    type: "heart_rate",
    start_time: new Date(Date.UTC(2026, 0, 1, 0, 0, at)).toISOString(),
    value: { bpm: 60 + (at % 60) },
  }));
}

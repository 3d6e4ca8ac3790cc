/** What arrives, as it arrives: the newest value of each type, the heart large. */

import { type ReactElement, useEffect, useState, useSyncExternalStore } from "react";
import type { HealthEvent, Live } from "../api/live";
import type { EventType } from "../model/catalogue";
import { dateAndTime, shown } from "../saying";
import { nameOf, say } from "../words/words";
import { Spark } from "./spark";

interface Last {
  text: string;
  unit: string;
  at: number;
}

const BEATS = 60;
const MOST = 4;

export function LiveStrip({ live, types }: { live: Live; types: ReadonlyMap<string, EventType> }): ReactElement {
  const connected = useSyncExternalStore(live.watch, () => live.connected);
  const [last, setLast] = useState<ReadonlyMap<string, Last>>(new Map());
  const [beats, setBeats] = useState<readonly number[]>([]);
  useEffect(
    () =>
      live.take((event) => {
        const told = toldOf(event, types);
        if (told === null) return;
        setLast((before) => {
          const next = new Map(before);
          next.delete(event.type);
          next.set(event.type, told);
          return next;
        });
        const bpm = event.value?.["bpm"];
        if (event.type === "heart_rate" && typeof bpm === "number")
          setBeats((before) => [...before.slice(1 - BEATS), bpm]);
      }),
    [live, types],
  );
  const heart = last.get("heart_rate");
  const others = [...last]
    .filter(([type]) => type !== "heart_rate")
    .slice(-MOST)
    .reverse();
  return (
    <section className="live" aria-label={say("live.heading")}>
      <p className={connected ? "pill on" : "pill"}>
        <span className="dot" aria-hidden="true" /> {say(connected ? "live.on" : "live.off")}
      </p>
      {heart === undefined ? (
        others.length === 0 ? (
          <p className="quiet">{say("live.waiting")}</p>
        ) : null
      ) : (
        <p className="beat">
          <span className="number">{heart.text}</span> <span className="unit">{heart.unit}</span>
          <Spark values={beats} width={140} height={34} />
        </p>
      )}
      <ul className="arrivals">
        {others.map(([type, each]) => (
          <li key={type}>
            <span className="name">{nameOf(type)}</span> <b>{each.text}</b> <span className="unit">{each.unit}</span>
          </li>
        ))}
      </ul>
      {heart === undefined ? null : <p className="quiet when">{dateAndTime(heart.at)}</p>}
    </section>
  );
}

/** The first number of an event, as it is shown; null where it has none. */
function toldOf(event: HealthEvent, types: ReadonlyMap<string, EventType>): Last | null {
  if (event.op === "delete" || event.value === null || event.start_time === null) return null;
  const at = Date.parse(event.start_time);
  if (event.type === "blood_pressure") {
    return { text: `${String(event.value["systolic"])}/${String(event.value["diastolic"])}`, unit: "mmHg", at };
  }
  for (const field of types.get(event.type)?.fields ?? []) {
    const number = event.value[field.name];
    if (typeof number === "number") {
      const { text, unit } = shown(number, field.unit);
      return { text, unit, at };
    }
  }
  return null;
}

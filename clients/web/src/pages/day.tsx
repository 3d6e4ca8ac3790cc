/** One day of a person: a picture of it, what it came to, and what happened. */

import { type ReactElement, useEffect, useMemo, useState } from "react";
import { knownPaths, useAsked } from "../api/asked";
import type { HealthEvent, Live } from "../api/live";
import { type EventType, inOrder } from "../model/catalogue";
import { daysPath, lastDay } from "../model/days";
import { type Day, type Figure, figureOf } from "../model/figures";
import { asleepSeconds, piecesOf } from "../model/night";
import { lineOfRoute, type Place } from "../model/route_line";
import { extremes, type Series, seriesPath } from "../model/series";
import { dateOf, DAY_MS, daysAfter, iso, spanOf } from "../model/times";
import { distance } from "../model/units";
import { type Bout, DayPicture } from "../parts/day_picture";
import { Failure } from "../parts/failure";
import { Icon } from "../parts/icon";
import { Insights } from "../parts/insights";
import { LiveStrip } from "../parts/live_strip";
import { Spark } from "../parts/spark";
import { go } from "../route";
import { clockTime, decimal, lengthOfTime, longDate, shown } from "../saying";
import { settings } from "../settings";
import { nameOf, say } from "../words/words";

const EVERY_MS = 4_000;

interface Catalogue {
  types: EventType[];
}

interface Kinds {
  types: { type: string; last_start_time: string }[];
}

export function DayPage({ user, date, live }: { user: string; date: string; live: Live }): ReactElement {
  const base = `/v1/users/${encodeURIComponent(user)}`;
  const catalogue = useAsked<Catalogue>("/v1/catalogue");
  const kinds = useAsked<Kinds>(`${base}/types`);
  const types = useMemo(
    () => new Map((catalogue.data?.types ?? []).map((each) => [each.name, each])),
    [catalogue.data],
  );
  const today = dateOf(Date.now());
  const newest = newestDate(kinds.data);
  const [known, setKnown] = useState<string | null>(null);
  const chosen = spanOf(date) === null ? (known ?? newest ?? today) : date;
  // That there is a newer day is known before the day is, and then the network may go: the last that was shown is better.
  const lost = (): void => void knownPaths().then((paths) => setKnown(lastDay(base, paths)));
  useOnline(() => setKnown(null));
  return (
    <>
      <LiveStrip live={live} types={types} />
      <Failure error={kinds.error ?? catalogue.error} again={kinds.again} />
      {kinds.data !== undefined && newest === null ? (
        <div className="empty">
          <h1>{say("day.none.title")}</h1>
          <p>{say("day.none.body")}</p>
        </div>
      ) : newest === null ? (
        kinds.error === undefined ? null : (
          <h1>{say("nav.today")}</h1>
        )
      ) : (
        <OneDay key={chosen} {...{ base, user, date: chosen, today, types, live, lost }} />
      )}
    </>
  );
}

/** The day of the newest measurement, but none after today. */
function newestDate(kinds: Kinds | undefined): string | null {
  const times = (kinds?.types ?? [])
    .map((each) => Date.parse(each.last_start_time))
    .filter((ms) => ms < Date.now() + DAY_MS);
  return times.length === 0 ? null : dateOf(Math.max(...times));
}

interface OneDayParts {
  base: string;
  user: string;
  date: string;
  today: string;
  types: ReadonlyMap<string, EventType>;
  live: Live;
  /** Called where there is no network, and nothing of the day is known. */
  lost: () => void;
}

function OneDay({ base, user, date, today, types, live, lost }: OneDayParts): ReactElement {
  const span = spanOf(date) ?? { since: 0, until: DAY_MS };
  const within = `since=${iso(span.since)}&until=${iso(span.until)}`;
  const heart = useAsked<Series>(seriesPath(user, "heart_rate", "bpm", span, 480));
  const steps = useAsked<Series>(seriesPath(user, "steps", "steps", span, 96));
  const nights = useAsked<{ events: HealthEvent[] }>(
    `${base}/events?type=sleep&since=${iso(span.since - DAY_MS)}&until=${iso(span.until)}&limit=50`,
  );
  const bouts = useAsked<{ events: HealthEvent[] }>(`${base}/events?type=workout&${within}&limit=50`);
  const ways = useAsked<{ events: HealthEvent[] }>(
    (bouts.data?.events.length ?? 0) === 0 ? null : `${base}/events?type=workout_route&${within}&limit=20`,
  );
  const meals = useAsked<{ events: HealthEvent[] }>(`${base}/events?type=food&${within}&limit=50`);
  const days = useAsked<{ days: Day[] }>(daysPath(base, date));
  const away = days.data === undefined && days.error instanceof TypeError;
  useEffect(() => {
    if (away) lost();
  }, [away]);
  const all = [heart, steps, nights, bouts, meals, days];
  useFreshAnswers(live, span.since, span.until, () => all.forEach((each) => each.again()));
  useDayKeys(date);

  const night = useMemo(() => piecesOf(nights.data?.events ?? [], span), [nights.data, span.since]);
  const workouts = (bouts.data?.events ?? []).filter((each) => each.op !== "delete").sort(byStart);
  const eaten = (meals.data?.events ?? []).filter((each) => each.op !== "delete").sort(byStart);
  const summary = summaryOf(heart.data, steps.data, night);
  const failed = all.find((each) => each.error !== undefined);
  return (
    <>
      <header className="date">
        <h1>{longDate(span.since)}</h1>
        <nav className="steps-nav" aria-label={longDate(span.since)}>
          <a href={`#/day/${daysAfter(date, -1)}`} aria-label={say("day.before")}>
            <Icon name="before" />
          </a>
          {date === today ? null : (
            <a className="word" href="#/">
              {say("day.today")}
            </a>
          )}
          <a href={`#/day/${daysAfter(date, 1)}`} aria-label={say("day.after")} aria-disabled={date >= today}>
            <Icon name="after" />
          </a>
        </nav>
      </header>
      {failed === undefined ? null : <Failure error={failed.error} again={failed.again} />}
      <DayPicture
        span={span}
        heart={heart.data}
        steps={steps.data}
        night={night}
        bouts={workouts.map(boutOf)}
        summary={say("day.picture", { parts: summary })}
      />
      <Figures days={days.data?.days ?? []} date={date} types={types} />
      <Insights user={user} date={date} />
      {workouts.length === 0 ? null : (
        <section>
          <h2>{say("day.workouts")}</h2>
          <ul className="rows">
            {workouts.map((each) => (
              <Workout key={each.id} event={each} way={wayOf(each, ways.data?.events ?? [])} />
            ))}
          </ul>
        </section>
      )}
      {eaten.length === 0 ? null : (
        <section>
          <h2>{say("day.food")}</h2>
          <ul className="rows">
            {eaten.map((each) => (
              <Meal key={each.id} event={each} />
            ))}
          </ul>
        </section>
      )}
    </>
  );
}

/** Done each time when the browser has a network again. */
function useOnline(done: () => void): void {
  useEffect(() => {
    window.addEventListener("online", done);
    return () => window.removeEventListener("online", done);
    // `done` is made anew for each render and does the same each time.
  }, []);
}

function byStart(one: HealthEvent, other: HealthEvent): number {
  return (one.start_time ?? "").localeCompare(other.start_time ?? "");
}

function boutOf(event: HealthEvent): Bout {
  return {
    name: String(event.value?.["activity"] ?? ""),
    from: Date.parse(event.start_time ?? ""),
    to: Date.parse(event.end_time ?? event.start_time ?? ""),
  };
}

/** Ask again while events of the day arrive, at most once in a while. */
function useFreshAnswers(live: Live, since: number, until: number, again: () => void): void {
  useEffect(() => {
    let timer = 0;
    const stop = live.take((event) => {
      const at = Date.parse(event.start_time ?? "");
      if (!(at >= since - DAY_MS && at < until) || timer !== 0) return;
      timer = window.setTimeout(() => {
        timer = 0;
        again();
      }, EVERY_MS);
    });
    return () => {
      stop();
      window.clearTimeout(timer);
    };
    // `again` is made anew for each render and does the same each time.
  }, [live, since, until]);
}

/** The arrow keys turn the pages, where nothing else has the keyboard. */
function useDayKeys(date: string): void {
  useEffect(() => {
    const pressed = (event: KeyboardEvent): void => {
      const free = event.target === document.body || (event.target as HTMLElement).tagName === "MAIN";
      if (!free || event.altKey || event.ctrlKey || event.metaKey) return;
      if (event.key === "ArrowLeft") go(`#/day/${daysAfter(date, -1)}`);
      if (event.key === "ArrowRight" && date < dateOf(Date.now())) go(`#/day/${daysAfter(date, 1)}`);
    };
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  }, [date]);
}

function summaryOf(heart: Series | undefined, steps: Series | undefined, night: ReturnType<typeof piecesOf>): string {
  const said: string[] = [];
  const asleep = asleepSeconds(night);
  if (asleep > 0) said.push(say("day.asleep", { time: lengthOfTime(asleep) }));
  const range = heart === undefined ? null : extremes(heart);
  if (range !== null) said.push(`${nameOf("heart_rate")} ${range.low}–${range.high} /min`);
  const walked = (steps?.value ?? []).reduce((sum, each) => sum + each, 0);
  if (walked > 0) said.push(`${decimal(walked, 0)} ${nameOf("steps")}`);
  return said.length === 0 ? say("day.empty") : said.join(", ");
}

function Figures({
  days,
  date,
  types,
}: {
  days: readonly Day[];
  date: string;
  types: ReadonlyMap<string, EventType>;
}): ReactElement | null {
  const day = days.find((each) => each.day === date);
  if (day === undefined || types.size === 0) return null;
  const field = (type: string): string => types.get(type)?.fields[0]?.name ?? "";
  const figures = inOrder(Object.keys(day.types))
    .map((type) => figureOf(type, day.types[type], field(type)))
    .filter((each) => each !== null);
  const before = Array.from({ length: 30 }, (_, place) =>
    days.find((each) => each.day === daysAfter(date, place - 29)),
  );
  return (
    <section aria-label={say("day.figures")}>
      <ul className="figures">
        {figures.map((figure) => (
          <li key={figure.type}>
            <a href={`#/charts/${figure.type}`}>
              <span className="name">{nameOf(figure.type)}</span>
              <span className="value">{valueOf(figure, types)}</span>
              <span className="note">{noteOf(figure, types)}</span>
              <Spark
                values={before.map(
                  (each) => figureOf(figure.type, each?.types[figure.type], field(figure.type))?.value ?? null,
                )}
              />
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}

function unitIn(types: ReadonlyMap<string, EventType>, figure: Figure): string {
  return types.get(figure.type)?.fields.find((each) => each.name === figure.field)?.unit ?? "";
}

function valueOf(figure: Figure, types: ReadonlyMap<string, EventType>): ReactElement {
  if (figure.field === "duration_s") return <span className="number">{lengthOfTime(figure.value)}</span>;
  if (figure.type.startsWith("distance")) {
    const { value, label, decimals } = distance(figure.value, settings.get());
    return (
      <>
        <span className="number">{decimal(value, decimals)}</span> <span className="unit">{label}</span>
      </>
    );
  }
  const { text, unit } = shown(figure.value, unitIn(types, figure));
  const second = figure.second === undefined ? "" : `/${shown(figure.second, unitIn(types, figure)).text}`;
  return (
    <>
      <span className="number">
        {text}
        {second}
      </span>{" "}
      <span className="unit">{unit}</span>
    </>
  );
}

function noteOf(figure: Figure, types: ReadonlyMap<string, EventType>): string {
  if (figure.low === undefined || figure.high === undefined || figure.low === figure.high) return "";
  const unit = unitIn(types, figure);
  return say("figure.low_high", { low: shown(figure.low, unit).text, high: shown(figure.high, unit).text });
}

/** The way that belongs to a workout: the one that names it, or the one of its time. */
function wayOf(workout: HealthEvent, ways: readonly HealthEvent[]): readonly Place[] {
  const { from, to } = boutOf(workout);
  const during = (way: HealthEvent): boolean => {
    const begin = Date.parse(way.start_time ?? "");
    return begin >= from - 60_000 && begin < to;
  };
  const found = ways.find((way) => way.value?.["workout_id"] === workout.id) ?? ways.find(during);
  return (found?.value?.["places"] ?? []) as readonly Place[];
}

function Workout({ event, way }: { event: HealthEvent; way: readonly Place[] }): ReactElement {
  const line = lineOfRoute(way, 120, 80);
  const { from, to, name } = boutOf(event);
  const meters = event.value?.["distance_m"];
  const said = [lengthOfTime((to - from) / 1000)];
  if (typeof meters === "number") {
    const told = distance(meters, settings.get());
    said.push(`${decimal(told.value, told.decimals)} ${told.label}`);
  }
  const kcal = event.value?.["energy_kcal"];
  if (typeof kcal === "number") said.push(`${decimal(kcal, 0)} kcal`);
  return (
    <li>
      <time>{clockTime(from)}</time>
      <b>{nameOf(name === "" ? "workout" : name)}</b>
      <span>{said.join(" · ")}</span>
      {line === null ? null : (
        <svg className="way" width="120" height="80" viewBox="0 0 120 80" role="img" aria-label={say("day.way")}>
          <path d={line.path} />
          <circle cx={line.from[0]} cy={line.from[1]} r="3" />
        </svg>
      )}
    </li>
  );
}

interface Item {
  name?: string;
  energy_kcal?: number;
}

function Meal({ event }: { event: HealthEvent }): ReactElement {
  const items = Array.isArray(event.value?.["items"]) ? (event.value["items"] as Item[]) : [];
  const names = items.map((each) => each.name).filter((each) => each !== undefined);
  const told = event.value?.["energy_kcal"];
  const kcal = typeof told === "number" ? told : items.reduce((sum, each) => sum + (each.energy_kcal ?? 0), 0);
  const meal = event.value?.["meal"];
  return (
    <li>
      <time>{clockTime(Date.parse(event.start_time ?? ""))}</time>
      <b>{names.length === 0 ? nameOf(typeof meal === "string" ? meal : "food") : names.join(", ")}</b>
      <span>{kcal > 0 ? `${decimal(kcal, 0)} kcal` : ""}</span>
    </li>
  );
}

/** Any number over any time, from minutes to years. */

import { type ReactElement, useEffect, useMemo, useState } from "react";
import { useAsked } from "../api/asked";
import type { Live } from "../api/live";
import { type EventType, inOrder } from "../model/catalogue";
import { askedFor, type Columns, columnsOf, inView } from "../model/plot";
import { moved, type Series, seriesPath, zoomed } from "../model/series";
import { DAY_MS, type Span } from "../model/times";
import { unitOf } from "../model/units";
import { Failure } from "../parts/failure";
import { Icon } from "../parts/icon";
import { Plot } from "../parts/plot";
import { go } from "../route";
import { clockTime, decimal, fullDate, shortDate } from "../saying";
import { useSettings } from "../settings";
import { nameOf, say, type Word } from "../words/words";

const SPANS = {
  hour: DAY_MS / 24,
  day: DAY_MS,
  week: 7 * DAY_MS,
  month: 31 * DAY_MS,
  year: 366 * DAY_MS,
  decade: 3_653 * DAY_MS,
} as const;
const POINTS = 1_800;
const FRESH_MS = 5_000;

interface Kinds {
  types: { type: string; last_start_time: string }[];
}

export function Charts({
  user,
  type,
  span,
  live,
}: {
  user: string;
  type: string;
  span: string | null;
  live: Live;
}): ReactElement {
  const catalogue = useAsked<{ types: EventType[] }>("/v1/catalogue");
  const kinds = useAsked<Kinds>(`/v1/users/${encodeURIComponent(user)}/types`);
  const types = useMemo(
    () => new Map((catalogue.data?.types ?? []).map((each) => [each.name, each])),
    [catalogue.data],
  );
  const there = inOrder((kinds.data?.types ?? []).map((each) => each.type)).filter(
    (each) => (types.get(each)?.fields.length ?? 0) > 0,
  );
  const chosen = types.get(type) ?? types.get(there[0] ?? "");
  const newest = kinds.data?.types.find((each) => each.type === chosen?.name)?.last_start_time;
  return (
    <>
      <h1>{chosen === undefined ? say("charts.title") : nameOf(chosen.name)}</h1>
      <Failure error={kinds.error ?? catalogue.error} again={kinds.again} />
      {there.length === 0 ? null : (
        <label className="field inline">
          <span>{say("charts.type")}</span>
          <select value={chosen?.name ?? ""} onChange={(event) => go(`#/charts/${event.target.value}`)}>
            {there.map((each) => (
              <option key={each} value={each}>
                {nameOf(each)}
              </option>
            ))}
          </select>
        </label>
      )}
      {kinds.data !== undefined && there.length === 0 ? <p className="quiet">{say("day.none.body")}</p> : null}
      {chosen === undefined ? null : (
        <Chart
          key={chosen.name}
          user={user}
          of={chosen}
          newest={newest === undefined ? Date.now() : Date.parse(newest)}
          span={span}
          live={live}
        />
      )}
    </>
  );
}

interface ChartParts {
  user: string;
  of: EventType;
  newest: number;
  /** The width that the address names, if it does. */
  span: string | null;
  live: Live;
}

function Chart({ user, of, newest, span, live }: ChartParts): ReactElement {
  const chosen = useSettings();
  const [field, setField] = useState(of.fields[0]?.name ?? "");
  const [view, setView] = useState<Span>(() =>
    endingAt(newest - 1, SPANS[span as keyof typeof SPANS] ?? usualSpan(of)),
  );
  const wide = askedFor(view);
  const pressure = of.name === "blood_pressure" && field === "systolic";
  const first = useSettled(useAsked<Series>(seriesPath(user, of.name, field, wide, POINTS)));
  const second = useSettled(useAsked<Series>(pressure ? seriesPath(user, of.name, "diastolic", wide, POINTS) : null));
  const ucum = of.fields.find((each) => each.name === field)?.unit ?? "";
  const unit = unitOf(ucum, chosen);
  const lines = useMemo((): Columns[] => {
    const holes = of.daily === "mean";
    const told = [first.data, second.data].filter((each) => each !== undefined);
    return told.map((each) => columnsOf(each, unit, holes));
  }, [first.data, second.data, ucum, chosen]);
  useFresh(live, of.name, view, first.again);

  const seen = first.data === undefined ? null : inView(first.data, view);
  const number = (stored: number): string => `${decimal(unit.shown(stored), unit.decimals)} ${unit.label}`.trim();
  const range = `${dated(view.since, view)} – ${dated(view.until, view)}`;
  const summary =
    seen === null
      ? say("charts.nothing")
      : say("charts.summary", {
          type: nameOf(of.name),
          from: dated(view.since, view),
          to: dated(view.until, view),
          count: seen.count,
          low: number(seen.low),
          high: number(seen.high),
        });
  return (
    <>
      {of.fields.length < 2 ? null : (
        <label className="field inline">
          <span>{say("charts.field")}</span>
          <select value={field} onChange={(event) => setField(event.target.value)}>
            {of.fields.map((each) => (
              <option key={each.name} value={each.name}>
                {nameOf(each.name)}
              </option>
            ))}
          </select>
        </label>
      )}
      <div className="plot-bar">
        <div className="segments" role="group" aria-label={say("charts.span")}>
          {Object.entries(SPANS).map(([name, width]) => (
            <button
              key={name}
              type="button"
              aria-pressed={Math.abs(Math.log((view.until - view.since) / width)) < 0.05}
              onClick={() => setView((before) => around(before, width, newest))}
            >
              {say(`charts.span.${name}` as Word)}
            </button>
          ))}
        </div>
        <div className="moves">
          <Move word="charts.earlier" icon="before" onClick={() => setView(moved(view, -0.5))} />
          <Move word="charts.later" icon="after" onClick={() => setView(moved(view, 0.5))} />
          <Move word="charts.closer" icon="add" onClick={() => setView(zoomed(view, 0.5))} />
          <Move word="charts.wider" icon="less" onClick={() => setView(zoomed(view, 2))} />
        </div>
      </div>
      <Failure error={first.error ?? second.error} again={first.again} />
      <p className="plot-range">
        <span>{range}</span>
        {seen === null ? null : (
          <b>
            {number(seen.low)} – {number(seen.high)}
          </b>
        )}
      </p>
      <Plot
        lines={lines}
        bars={of.daily === "sum"}
        view={view}
        onView={setView}
        label={summary}
        drawn={first.data === undefined ? "" : of.name}
        height={380}
        decimals={unit.decimals}
      />
      <p className="quiet" aria-live="polite">
        {first.data === undefined
          ? say("app.loading")
          : seen === null
            ? say("charts.nothing")
            : resolutionOf(first.data)}
        {first.data?.complete === false ? ` ${say("charts.incomplete")}` : ""}
      </p>
      <p className="quiet hint">{say("charts.keys")}</p>
    </>
  );
}

function Move({
  word,
  icon,
  onClick,
}: {
  word: Word;
  icon: "before" | "after" | "add" | "less";
  onClick: () => void;
}): ReactElement {
  return (
    <button type="button" className="round" aria-label={say(word)} title={say(word)} onClick={onClick}>
      <Icon name={icon} />
    </button>
  );
}

function usualSpan(of: EventType): number {
  return of.kind === "instant" && of.daily === "mean" ? SPANS.day : SPANS.month;
}

/** The last answer, until the next one is there: a picture that moves does not blink. */
function useSettled(asked: ReturnType<typeof useAsked<Series>>): ReturnType<typeof useAsked<Series>> {
  const [last, setLast] = useState(asked.data);
  useEffect(() => {
    if (asked.data !== undefined) setLast(asked.data);
  }, [asked.data]);
  const same = last !== undefined && (asked.data === undefined || asked.data.type === last.type);
  return { ...asked, data: asked.data ?? (same ? last : undefined) };
}

/** Ask again while values of this type arrive that are in view. */
function useFresh(live: Live, type: string, view: Span, again: () => void): void {
  useEffect(() => {
    let timer = 0;
    const stop = live.take((event) => {
      const at = Date.parse(event.start_time ?? "");
      if (event.type !== type || at < view.since || at >= view.until || timer !== 0) return;
      timer = window.setTimeout(() => {
        timer = 0;
        again();
      }, FRESH_MS);
    });
    return () => {
      stop();
      window.clearTimeout(timer);
    };
  }, [live, type, view.since, view.until, again]);
}

/** A span of this width that ends at the end of the day, or a little behind, of a time. */
function endingAt(ms: number, width: number): Span {
  const when = new Date(ms);
  const end =
    width < DAY_MS ? ms + width * 0.05 : new Date(when.getFullYear(), when.getMonth(), when.getDate() + 1).getTime();
  return { since: end - width, until: end };
}

/** Another width: around the middle of what is seen, or at the newest value where that is in it. */
function around(view: Span, width: number, newest: number): Span {
  if (newest >= view.since && newest < view.until) return endingAt(newest, width);
  const middle = (view.since + view.until) / 2;
  return { since: Math.round(middle - width / 2), until: Math.round(middle + width / 2) };
}

function dated(ms: number, view: Span): string {
  const width = view.until - view.since;
  if (width < 3 * DAY_MS) return `${shortDate(ms)}, ${clockTime(ms)}`;
  return fullDate(ms);
}

function resolutionOf(series: Series): string {
  if (series.width_s === 0) return say("charts.exact");
  return say(series.adds_up ? "charts.sum" : "charts.bucket", { width: widthOf(series.width_s) });
}

function widthOf(seconds: number): string {
  if (seconds < 60) return say("width.second", { n: seconds });
  if (seconds < 3_600) return say("width.minute", { n: seconds / 60 });
  if (seconds < 86_400) return say("width.hour", { n: seconds / 3_600 });
  return seconds === 86_400 ? say("width.day") : say("width.days", { n: seconds / 86_400 });
}

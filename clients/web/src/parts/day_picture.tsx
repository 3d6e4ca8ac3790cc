/** A whole day in one picture: sleep above, the heart below it, steps at the foot, on one axis of time. */

import { type ReactElement, useState } from "react";
import { DEPTH, type Piece } from "../model/night";
import { extremes, type Series } from "../model/series";
import type { Span } from "../model/times";
import { clockTime, decimal } from "../saying";
import { nameOf, say, type Word } from "../words/words";
import { useWidth } from "./measured";

export interface Bout {
  name: string;
  from: number;
  to: number;
}

interface Parts {
  span: Span;
  heart: Series | undefined;
  steps: Series | undefined;
  night: Piece[];
  bouts: Bout[];
  summary: string;
}

const LEFT = 38;
const NIGHT = { top: 8, height: 44 };
const HEART = { top: 68, height: 156 };
const STEPS = { top: 240, height: 54 };
const HEIGHT = 322;
const GAP_MS = 20 * 60_000;

export function DayPicture({ span, heart, steps, night, bouts, summary }: Parts): ReactElement {
  const [ref, width] = useWidth<HTMLDivElement>();
  const [at, setAt] = useState<number | null>(null);
  const right = Math.max(LEFT + 10, width - 4);
  const x = (ms: number): number => LEFT + ((ms - span.since) / (span.until - span.since)) * (right - LEFT);
  const scale = scaleOf(heart);
  const y = (bpm: number): number => HEART.top + HEART.height * (1 - (bpm - scale.low) / (scale.high - scale.low));
  const most = Math.max(1, ...(steps?.value ?? []));
  const every = width < 520 ? 6 : 3;
  const pointed = (clientX: number, box: DOMRect): void => {
    const part = (clientX - box.left - LEFT) / (right - LEFT);
    setAt(part < 0 || part > 1 ? null : span.since + part * (span.until - span.since));
  };
  return (
    <div className="day-picture" ref={ref}>
      <svg
        width={width}
        height={HEIGHT}
        viewBox={`0 0 ${Math.max(1, width)} ${HEIGHT}`}
        role="img"
        aria-label={summary}
        onPointerMove={(event) => pointed(event.clientX, event.currentTarget.getBoundingClientRect())}
        onPointerLeave={() => setAt(null)}
      >
        {hours(span, every).map((ms) => (
          <g key={ms}>
            <line className="rule" x1={x(ms)} x2={x(ms)} y1={4} y2={STEPS.top + STEPS.height} />
            <text
              className="axis"
              x={x(ms)}
              y={HEIGHT - 8}
              textAnchor={ms === span.since ? "start" : ms === span.until ? "end" : "middle"}
            >
              {clockTime(ms)}
            </text>
          </g>
        ))}
        {bouts.map((bout) => (
          <rect
            key={`${bout.from}`}
            className="bout"
            x={x(bout.from)}
            width={Math.max(2, x(bout.to) - x(bout.from))}
            y={HEART.top - 6}
            height={HEART.height + 12}
            rx={3}
          />
        ))}
        {night.map((piece) => (
          <rect
            key={`${piece.from}`}
            className={`stage ${piece.stage}`}
            x={x(piece.from)}
            width={Math.max(1, x(piece.to) - x(piece.from) + 0.5)}
            y={NIGHT.top + (NIGHT.height - 14) * DEPTH[piece.stage]}
            height={14}
            rx={2}
          />
        ))}
        {heart === undefined || heart.at.length === 0 ? null : (
          <>
            {scale.ticks.map((tick) => (
              <g key={tick}>
                <line className="tick" x1={LEFT} x2={right} y1={y(tick)} y2={y(tick)} />
                <text className="axis" x={LEFT - 8} y={y(tick) + 4} textAnchor="end">
                  {tick}
                </text>
              </g>
            ))}
            <path className="band" d={bandOf(heart, x, y)} />
            <path className="pulse" d={lineOf(heart, x, y)} />
          </>
        )}
        {(steps?.at ?? []).map((ms, place) => {
          const tall = Math.max(1.5, ((steps?.value[place] ?? 0) / most) * STEPS.height);
          const wide = Math.max(1.2, x(ms + stepWidth(steps)) - x(ms) - 1);
          return (
            <rect
              key={ms}
              className="steps"
              x={x(ms)}
              width={wide}
              y={STEPS.top + STEPS.height - tall}
              height={tall}
              rx={1}
            />
          );
        })}
        {at === null ? null : <line className="cursor" x1={x(at)} x2={x(at)} y1={4} y2={STEPS.top + STEPS.height} />}
      </svg>
      <p className="reading" aria-hidden="true">
        {at === null ? " " : readingAt(at, heart, steps, night)}
      </p>
    </div>
  );
}

function hours(span: Span, every: number): number[] {
  const found: number[] = [];
  const begin = new Date(span.since);
  for (let hour = 0; hour <= 24; hour += every) {
    found.push(new Date(begin.getFullYear(), begin.getMonth(), begin.getDate(), hour).getTime());
  }
  return found.filter((ms) => ms <= span.until);
}

function scaleOf(heart: Series | undefined): { low: number; high: number; ticks: number[] } {
  const found = heart === undefined ? null : extremes(heart);
  if (found === null) return { low: 40, high: 140, ticks: [60, 100, 140] };
  const low = Math.floor((found.low - 3) / 10) * 10;
  const high = Math.max(low + 40, Math.ceil((found.high + 3) / 10) * 10);
  const step = high - low > 120 ? 40 : high - low > 60 ? 30 : 20;
  const ticks: number[] = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high; tick += step) ticks.push(tick);
  return { low, high, ticks };
}

type To = (value: number) => number;

function lineOf(series: Series, x: To, y: To): string {
  let path = "";
  series.at.forEach((ms, place) => {
    const broken = place === 0 || ms - (series.at[place - 1] ?? 0) > GAP_MS;
    path += `${broken ? "M" : "L"}${x(ms).toFixed(1)} ${y(series.value[place] ?? 0).toFixed(1)}`;
  });
  return path;
}

function bandOf(series: Series, x: To, y: To): string {
  if (series.resolution === "exact") return "";
  let path = "";
  for (const [from, to] of stretches(series)) {
    for (let place = from; place < to; place++) {
      path += `${place === from ? "M" : "L"}${x(series.at[place] ?? 0).toFixed(1)} ${y(series.high[place] ?? 0).toFixed(1)}`;
    }
    for (let place = to - 1; place >= from; place--) {
      path += `L${x(series.at[place] ?? 0).toFixed(1)} ${y(series.low[place] ?? 0).toFixed(1)}`;
    }
    path += "Z";
  }
  return path;
}

/** From and to of what hangs together. */
function stretches(series: Series): [number, number][] {
  const found: [number, number][] = [];
  let from = 0;
  for (let place = 1; place <= series.at.length; place++) {
    if (place === series.at.length || (series.at[place] ?? 0) - (series.at[place - 1] ?? 0) > GAP_MS) {
      found.push([from, place]);
      from = place;
    }
  }
  return found;
}

function stepWidth(steps: Series | undefined): number {
  return (steps === undefined || steps.width_s === 0 ? 600 : steps.width_s) * 1000;
}

function readingAt(at: number, heart: Series | undefined, steps: Series | undefined, night: readonly Piece[]): string {
  const said = [clockTime(at)];
  const stage = night.find((piece) => piece.from <= at && at < piece.to);
  if (stage !== undefined) said.push(say(`stage.${stage.stage}` as Word));
  if (heart !== undefined) {
    const place = nearest(heart.at, at);
    if (place >= 0 && Math.abs((heart.at[place] ?? 0) - at) < GAP_MS)
      said.push(`${decimal(heart.value[place] ?? 0, 0)} /min`);
  }
  if (steps !== undefined) {
    const place = steps.at.findIndex((ms) => ms <= at && at < ms + stepWidth(steps));
    if (place >= 0) said.push(`${decimal(steps.value[place] ?? 0, 0)} ${nameOf("steps")}`);
  }
  return said.join("  ·  ");
}

/** Where in ordered times the nearest one is; -1 of none. */
export function nearest(times: readonly number[], at: number): number {
  let low = 0;
  let high = times.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] ?? 0) < at) low = middle + 1;
    else high = middle;
  }
  const before = low - 1;
  return before >= 0 && at - (times[before] ?? 0) < Math.abs((times[low] ?? 0) - at)
    ? before
    : low < times.length
      ? low
      : -1;
}

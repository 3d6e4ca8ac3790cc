/** A number over time that is dragged, turned closer and moved by keys; the picture is uPlot's. */

import { type KeyboardEvent, type ReactElement, useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { type Column, type Columns } from "../model/plot";
import { moved, zoomed } from "../model/series";
import { DAY_MS, type Span } from "../model/times";
import { clockTime, fullDate, shortDate } from "../saying";
import { useWidth } from "./measured";

interface Parts {
  /** One or two lines: the second is drawn beside the first, such as of the diastolic pressure. */
  lines: readonly Columns[];
  bars: boolean;
  view: Span;
  onView: (next: Span) => void;
  label: string;
  /** What is in the picture, for who waits for it; empty while nothing is. */
  drawn: string;
  height: number;
  decimals: number;
}

export function Plot({ lines, bars, view, onView, label, drawn, height, decimals }: Parts): ReactElement {
  const [ref, width] = useWidth<HTMLDivElement>();
  const plotted = useRef<uPlot | null>(null);
  const seen = useRef(view);
  const told = useRef(onView);
  told.current = onView;
  const kind = `${lines.length} ${bars} ${decimals}`;

  useEffect(() => {
    const place = ref.current;
    if (place === null || width === 0) return;
    const plot = new uPlot(
      optionsOf(width, height, lines.length, bars, decimals, () => seen.current),
      dataOf(lines),
      place,
    );
    plotted.current = plot;
    const stop = gestures(plot, seen, (next) => told.current(next));
    return () => {
      stop();
      plot.destroy();
      plotted.current = null;
    };
    // The data is put in below: a plot is made anew only where it looks another way.
  }, [width, height, kind]);
  useEffect(() => plotted.current?.setData(dataOf(lines), true), [lines]);
  useEffect(() => {
    seen.current = view;
    plotted.current?.setScale("x", scaleOf(view));
  }, [view.since, view.until]);

  const pressed = (event: KeyboardEvent): void => {
    const next = byKey(event.key, view);
    if (next === null) return;
    event.preventDefault();
    onView(next);
  };
  return (
    <div
      className="plot"
      data-drawn={drawn}
      ref={ref}
      role="group"
      aria-label={label}
      tabIndex={0}
      onKeyDown={pressed}
    />
  );
}

function byKey(key: string, view: Span): Span | null {
  switch (key) {
    case "ArrowLeft":
      return moved(view, -0.25);
    case "ArrowRight":
      return moved(view, 0.25);
    case "+":
    case "=":
      return zoomed(view, 0.5);
    case "-":
      return zoomed(view, 2);
    default:
      return null;
  }
}

function scaleOf(view: Span): { min: number; max: number } {
  return { min: view.since / 1000, max: view.until / 1000 };
}

/** Columns of all lines on one axis of time. */
function dataOf(lines: readonly Columns[]): uPlot.AlignedData {
  const [first, ...others] = lines;
  if (first === undefined || first.at.length === 0) return [[], [], [], []];
  const columns = others.flatMap((line) => [line.value].map((column) => onAxis(first.at, line.at, column)));
  return [first.at, first.value, first.low, first.high, ...columns] as uPlot.AlignedData;
}

function onAxis(axis: readonly number[], at: readonly number[], column: Column): Column {
  const known = new Map(at.map((seconds, place) => [seconds, column[place] ?? null]));
  return axis.map((seconds) => known.get(seconds) ?? null);
}

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function optionsOf(
  width: number,
  height: number,
  lines: number,
  bars: boolean,
  decimals: number,
  view: () => Span,
): uPlot.Options {
  const [ink, soft, line, main, band] = ["--ink", "--soft", "--line", bars ? "--steps" : "--heart", "--band"].map(
    colour,
  ) as [string, string, string, string, string];
  const axis = {
    stroke: soft,
    font: "11px Text, sans-serif",
    grid: { stroke: line, width: 1 },
    ticks: { show: false },
  };
  const paths = bars ? uPlot.paths.bars?.({ size: [0.82, 46, 1], radius: 0.12 }) : undefined;
  const hidden: uPlot.Series = { stroke: "transparent", width: 0, points: { show: false } };
  const others = Array.from({ length: Math.max(0, lines - 1) }, (): uPlot.Series => ({
    stroke: colour("--deep"),
    width: 1.5,
  }));
  return {
    width,
    height,
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, points: { size: 7, fill: ink }, y: false },
    scales: {
      x: { time: true, range: () => [view().since / 1000, view().until / 1000] },
      y: { range: (_, low, high) => rangeOf(low, high, bars) },
    },
    axes: [
      {
        ...axis,
        size: 34,
        space: 84,
        values: (_, splits, __, ___, step) => splits.map((at) => timeLabel(at * 1000, step * 1000)),
      },
      {
        ...axis,
        size: 46,
        values: (_, splits) =>
          splits.map((each) => each.toLocaleString(undefined, { maximumFractionDigits: decimals + 1 })),
      },
    ],
    series: [
      {},
      {
        stroke: main,
        width: 1.5,
        ...(bars ? { fill: main, ...(paths === undefined ? {} : { paths }) } : {}),
        points: { size: 5, fill: main },
      },
      hidden,
      hidden,
      ...others,
    ],
    ...(bars ? {} : { bands: [{ series: [3, 2] as [number, number], fill: band }] }),
  };
}

function rangeOf(low: number | null, high: number | null, bars: boolean): [number, number] {
  if (low === null || high === null) return [0, 1];
  if (bars) return [0, high <= 0 ? 1 : high * 1.06];
  const room = Math.max((high - low) * 0.08, Math.abs(high) * 0.01, 0.01);
  return [low - room, high + room];
}

function timeLabel(ms: number, step: number): string {
  const midnight = new Date(ms).getHours() === 0 && new Date(ms).getMinutes() === 0;
  if (step < DAY_MS) return midnight ? shortDate(ms) : clockTime(ms);
  return step < 28 * DAY_MS ? shortDate(ms) : fullDate(ms).split(" ").slice(1).join(" ");
}

const SETTLED_MS = 160;

/** Dragging, pinching and the wheel move the picture at once; `settled` is told when they rest. */
function gestures(plot: uPlot, seen: { current: Span }, settled: (view: Span) => void): () => void {
  const over = plot.over;
  const fingers = new Map<number, number>();
  let timer = 0;
  let frame = 0;
  const show = (next: Span): void => {
    seen.current = next;
    if (frame === 0) {
      frame = requestAnimationFrame(() => {
        frame = 0;
        plot.setScale("x", scaleOf(seen.current));
      });
    }
    window.clearTimeout(timer);
    timer = window.setTimeout(() => settled(seen.current), SETTLED_MS);
  };
  const part = (x: number): number => (x - over.getBoundingClientRect().left) / over.clientWidth;
  const wheel = (event: WheelEvent): void => {
    event.preventDefault();
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) show(moved(seen.current, event.deltaX / over.clientWidth));
    else show(zoomed(seen.current, Math.exp(event.deltaY * 0.0016), part(event.clientX)));
  };
  const down = (event: PointerEvent): void => {
    fingers.set(event.pointerId, event.clientX);
    over.setPointerCapture(event.pointerId);
  };
  const move = (event: PointerEvent): void => {
    const before = fingers.get(event.pointerId);
    if (before === undefined) return;
    const others = [...fingers].filter(([id]) => id !== event.pointerId).map(([, x]) => x);
    fingers.set(event.pointerId, event.clientX);
    const [other] = others;
    if (other === undefined) return show(moved(seen.current, (before - event.clientX) / over.clientWidth));
    const [apart, now] = [Math.max(20, Math.abs(before - other)), Math.max(20, Math.abs(event.clientX - other))];
    show(zoomed(seen.current, apart / now, part(other)));
  };
  const up = (event: PointerEvent): void => void fingers.delete(event.pointerId);
  over.addEventListener("wheel", wheel, { passive: false });
  over.addEventListener("pointerdown", down);
  over.addEventListener("pointermove", move);
  over.addEventListener("pointerup", up);
  over.addEventListener("pointercancel", up);
  return () => {
    window.clearTimeout(timer);
    cancelAnimationFrame(frame);
    over.removeEventListener("wheel", wheel);
    over.removeEventListener("pointerdown", down);
    over.removeEventListener("pointermove", move);
    over.removeEventListener("pointerup", up);
    over.removeEventListener("pointercancel", up);
  };
}

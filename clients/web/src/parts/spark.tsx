/** A line of the last days, without axes: only how it went. */

import type { ReactElement } from "react";

export function Spark({
  values,
  width = 120,
  height = 28,
}: {
  values: readonly (number | null)[];
  width?: number;
  height?: number;
}): ReactElement | null {
  const there = values.filter((each) => each !== null);
  if (there.length < 2) return null;
  const low = Math.min(...there);
  const high = Math.max(...there);
  const x = (place: number): number => 2 + (place / Math.max(1, values.length - 1)) * (width - 4);
  const y = (value: number): number =>
    high === low ? height / 2 : 3 + (1 - (value - low) / (high - low)) * (height - 6);
  let path = "";
  let pen = false;
  values.forEach((value, place) => {
    if (value === null) return void (pen = false);
    path += `${pen ? "L" : "M"}${x(place).toFixed(1)} ${y(value).toFixed(1)}`;
    pen = true;
  });
  const last = values.findLastIndex((each) => each !== null);
  return (
    <svg
      className="spark"
      width={width}
      height={height}
      viewBox={`0 0 ${width} ${height}`}
      preserveAspectRatio="xMinYMid"
      aria-hidden="true"
    >
      <path d={path} />
      <circle cx={x(last)} cy={y(values[last] as number)} r="2.2" />
    </svg>
  );
}

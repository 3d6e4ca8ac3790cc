/** A way that somebody went, as a line on a flat picture: without a map, which would tell another host where it was. Pure. */

export type Place = [seconds: number, latitude: number, longitude: number, altitude?: number | null];

export interface RouteLine {
  path: string;
  from: [number, number];
  to: [number, number];
}

const MOST = 600;

/** The line within width and height, north up; null where there is no way. */
export function lineOfRoute(places: readonly Place[], width: number, height: number, margin = 8): RouteLine | null {
  if (places.length < 2) return null;
  const step = Math.max(1, Math.ceil(places.length / MOST));
  const some = places.filter((_, place) => place % step === 0 || place === places.length - 1);
  const middle = ((some[0]?.[1] ?? 0) * Math.PI) / 180;
  const points = some.map(([, latitude, longitude]): [number, number] => [longitude * Math.cos(middle), -latitude]);
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  const [wide, tall] = [Math.max(...xs) - left, Math.max(...ys) - top];
  const scale = Math.min((width - 2 * margin) / (wide || 1e-9), (height - 2 * margin) / (tall || 1e-9));
  const inset: [number, number] = [(width - wide * scale) / 2, (height - tall * scale) / 2];
  const drawn = points.map(([x, y]): [number, number] => [
    Math.round((inset[0] + (x - left) * scale) * 10) / 10,
    Math.round((inset[1] + (y - top) * scale) * 10) / 10,
  ]);
  const [from, to] = [drawn[0], drawn.at(-1)];
  if (from === undefined || to === undefined || (wide === 0 && tall === 0)) return null;
  return { path: `M${drawn.map(([x, y]) => `${x} ${y}`).join("L")}`, from, to };
}

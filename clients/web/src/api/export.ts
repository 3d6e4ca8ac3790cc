/** Everything of a person as one file, page by page: into a file where the browser lets a page write one, else in memory. */

import { fetched } from "./http";

export const FORMATS = {
  ndjson: "application/x-ndjson",
  csv: "text/csv",
} as const;
export type Format = keyof typeof FORMATS;

interface Sink {
  write(text: string): Promise<void>;
  close(): Promise<void>;
}

type Picker = (options: { suggestedName: string }) => Promise<{ createWritable(): Promise<Sink> }>;

/** Write all events; `told` gets how many lines there are so far. Throws what went wrong; the file is cut then. */
export async function exportAll(user: string, format: Format, told: (lines: number) => void): Promise<void> {
  const name = `healthsync-${user}.${format}`;
  const sink = await opened(name, FORMATS[format]);
  let path: string | null = `/v1/users/${encodeURIComponent(user)}/events?limit=1000`;
  let lines = 0;
  for (let first = true; path !== null; first = false) {
    const answer: Response = await fetched(path, { headers: { Accept: FORMATS[format] } });
    const text = await answer.text();
    // Each page of CSV begins with the names of its columns; the file has them once.
    const rows = format === "csv" && !first ? text.slice(text.indexOf("\n") + 1) : text;
    await sink.write(rows);
    lines += countLines(rows);
    told(lines);
    path = nextOf(answer.headers.get("link"));
  }
  await sink.close();
}

/** Where the next page is, of a Link header; null at the end. */
export function nextOf(link: string | null): string | null {
  return link === null ? null : (/<([^>]+)>;\s*rel="next"/.exec(link)?.[1] ?? null);
}

function countLines(text: string): number {
  let lines = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines += 1;
  return lines;
}

async function opened(name: string, mediaType: string): Promise<Sink> {
  const picker = (window as Window & { showSaveFilePicker?: Picker }).showSaveFilePicker;
  if (picker !== undefined) return await (await picker({ suggestedName: name })).createWritable();
  const parts: string[] = [];
  return {
    write: (text) => Promise.resolve(void parts.push(text)),
    close: () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob(parts, { type: mediaType }));
      link.download = name;
      link.click();
      window.setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
      return Promise.resolve();
    },
  };
}

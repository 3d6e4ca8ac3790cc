/** Reading: pages of events, what changed since, and live events. */

import { Backoff, type Clock, systemClock } from "./clock.js";
import { InputError, UnavailableError } from "./errors.js";
import type { CanonicalEvent, ChangePage, Routes } from "./generated.js";
import { type HttpApi, queried } from "./http.js";

export type EventQuery = Omit<Routes["GET /v1/users/{user}/events"]["query"], "cursor">;

/** The events of a user, a page at a time, until there are no more. */
export async function* eventPages(
  api: HttpApi,
  user: string,
  query: EventQuery = {},
  signal?: AbortSignal,
): AsyncGenerator<readonly CanonicalEvent[]> {
  let cursor: string | null | undefined;
  do {
    const page = await api.call("GET /v1/users/{user}/events", { path: { user }, query: { ...query, cursor }, signal });
    yield page.events;
    cursor = page.next;
  } while (cursor);
}

export interface ChangesOptions {
  readonly user?: string | undefined;
  readonly limit?: number | undefined;
  /** How often in a row nobody may answer. */
  readonly attempts?: number | undefined;
  readonly backoff?: Backoff | undefined;
  readonly clock?: Clock | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * What was stored after `since` (undefined: from the beginning), page by page, until there is nothing more at that time.
 * Keep `page.since` when what is in the page was taken in: it is where to go on.
 *
 * SyncTokenError where the token is good for nothing any more: begin anew without one.
 */
export async function* changesSince(
  api: HttpApi,
  since?: string | null,
  options: ChangesOptions = {},
): AsyncGenerator<ChangePage> {
  const { user, limit, signal, attempts = 10, backoff = new Backoff(), clock = systemClock } = options;
  let failures = 0;
  for (;;) {
    let page: ChangePage;
    try {
      page = await api.call("GET /v1/changes", {
        query: { since, user, ...(limit === undefined ? {} : { limit }) },
        signal,
      });
    } catch (error) {
      failures += 1;
      if (!(error instanceof UnavailableError) || failures >= attempts) throw error;
      await clock.sleep(error.retryAfterMs ?? backoff.delay(failures), signal);
      continue;
    }
    failures = 0;
    since = page.since;
    yield page;
    if (!page.more) return;
  }
}

/** The part of a WebSocket that is used here. */
export interface Socket {
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null;
  onerror: ((event: unknown) => void) | null;
  close(): void;
}

export interface LiveOptions {
  readonly user?: string | undefined;
  readonly type?: string | undefined;
  /** `earliest`, a seq or a time; when it is left out: from now on. */
  readonly from?: string | undefined;
  /** The id of the last event that is known: goes on behind it. */
  readonly lastEventId?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly backoff?: Backoff | undefined;
  readonly clock?: Clock | undefined;
  /** Milliseconds of silence after which a stream is thought dead; the service says something every 15 s. */
  readonly silenceMs?: number | undefined;
  /** Told when a connection is there, and why one ended. */
  readonly onState?: ((online: boolean, error?: unknown) => void) | undefined;
  /** Opens a WebSocket: then one is used instead of a streamed answer, which React Native cannot read. */
  readonly webSocket?: ((url: string, protocols: string[]) => Socket) | undefined;
}

/** An event that came, with the id by which a stream is resumed behind it. */
export interface LiveEvent {
  readonly id: string;
  readonly event: CanonicalEvent;
}

/**
 * Events as they are stored, over any number of lost connections: each one goes on where the one before it ended, so an
 * event may come twice and none is missed. Ends when `signal` is aborted; DeniedError and other refusals are thrown.
 */
export async function* live(api: HttpApi, options: LiveOptions = {}): AsyncGenerator<LiveEvent> {
  const { signal, clock = systemClock, backoff = new Backoff(1_000, 30_000), onState } = options;
  if (options.webSocket && options.user === undefined) {
    throw new InputError("a WebSocket is followed for one user", { reason: "bad_input", hint: "name the user" });
  }
  let last = options.lastEventId;
  let failures = 0;
  while (!signal?.aborted) {
    let reason: unknown;
    try {
      const events = options.webSocket
        ? overWebSocket(api, options, options.webSocket, last, () => onState?.(true))
        : overSse(api, options, last, () => onState?.(true));
      for await (const each of events) {
        failures = 0;
        last = each.id;
        yield each;
      }
    } catch (error) {
      if (signal?.aborted) return;
      if (!(error instanceof UnavailableError)) throw error;
      reason = error;
    }
    if (signal?.aborted) return;
    failures += 1;
    onState?.(false, reason);
    const asked = reason instanceof UnavailableError ? reason.retryAfterMs : undefined;
    await clock.sleep(asked ?? backoff.delay(failures), signal);
  }
}

async function* overSse(
  api: HttpApi,
  options: LiveOptions,
  last: string | undefined,
  onOpen: () => void,
): AsyncGenerator<LiveEvent> {
  const { user, type, from, signal, clock = systemClock, silenceMs = 45_000 } = options;
  const dead = new AbortController();
  const abort = (): void => dead.abort();
  signal?.addEventListener("abort", abort);
  const headers = { accept: "text/event-stream", ...(last === undefined ? {} : { "last-event-id": last }) };
  const answer = await api.request("GET", "/v1/stream", {
    query: { user, type, ...(last === undefined ? { from } : {}) },
    headers,
    signal: dead.signal,
    stream: true,
  });
  if (!answer.body) throw new InputError("this fetch cannot stream", { hint: "give `webSocket`" });
  onOpen();
  const reader = answer.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  let heard = clock.monotonic();
  const watch = setInterval(() => {
    if (clock.monotonic() - heard > silenceMs) abort();
  }, silenceMs / 3);
  try {
    for (;;) {
      const { value, done } = await reader.read().catch((error: unknown): never => {
        throw new UnavailableError("the stream was cut", { cause: error });
      });
      if (done) return;
      heard = clock.monotonic();
      text += decoder.decode(value, { stream: true });
      const frames = text.split("\n\n");
      text = frames.pop() ?? "";
      for (const frame of frames) {
        const said = eventOf(frame);
        if (said) yield said;
      }
    }
  } finally {
    clearInterval(watch);
    signal?.removeEventListener("abort", abort);
    await reader.cancel().catch(() => undefined);
    dead.abort();
  }
}

function eventOf(frame: string): LiveEvent | undefined {
  let id: string | undefined;
  const data: string[] = [];
  for (const line of frame.split("\n")) {
    if (line.startsWith("id: ")) id = line.slice(4);
    if (line.startsWith("data: ")) data.push(line.slice(6));
  }
  if (id === undefined || !data.length) return undefined;
  return { id, event: JSON.parse(data.join("\n")) as CanonicalEvent };
}

async function* overWebSocket(
  api: HttpApi,
  options: LiveOptions,
  open: NonNullable<LiveOptions["webSocket"]>,
  last: string | undefined,
  onOpen: () => void,
): AsyncGenerator<LiveEvent> {
  const { user, type, from, signal } = options;
  const { authorization = "" } = await api.authorization.headers("GET");
  const bearer = /^Bearer (.+)$/.exec(authorization)?.[1];
  const query = queried({ user, type, ...(last === undefined ? { from } : { last_event_id: last }) });
  const url = `${api.baseUrl.replace(/^http/, "ws")}/v1/stream${query}`;
  const came: LiveEvent[] = [];
  let ended: Error | undefined;
  let wake: () => void = () => undefined;
  let opened = false;
  const socket = open(url, bearer ? ["healthsync", `bearer.${bearer}`] : ["healthsync"]);
  const end = (error: Error): void => {
    ended ??= error;
    wake();
  };
  const abort = (): void => end(new UnavailableError("given up", { reason: "aborted" }));
  signal?.addEventListener("abort", abort);
  socket.onmessage = ({ data }) => {
    if (!opened) onOpen();
    opened = true;
    const event = JSON.parse(String(data)) as CanonicalEvent;
    came.push({ id: String(event.seq), event });
    wake();
  };
  socket.onerror = () => end(new UnavailableError("the WebSocket failed"));
  socket.onclose = ({ code, reason }) =>
    end(
      code === 1008
        ? new UnavailableError(reason || "the login has ended")
        : new UnavailableError("the WebSocket was closed"),
    );
  try {
    for (;;) {
      const next = came.shift();
      if (next) yield next;
      else if (ended) throw ended;
      else if (signal?.aborted) return;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    signal?.removeEventListener("abort", abort);
    socket.onmessage = socket.onclose = socket.onerror = null;
    socket.close();
  }
}

/** The gateway's routes, typed, with the caller's credential; and the errors that its answers mean. */

import {
  DeniedError,
  type HealthSyncError,
  ProblemError,
  SyncTokenError,
  TooLargeError,
  UnavailableError,
} from "./errors.js";
import type { Problem, Routes } from "./generated.js";

/** Says who is calling. */
export interface Authorization {
  /** Headers of a request. UnavailableError where a new token cannot be had now, DeniedError where never. */
  headers(method: string): Promise<Readonly<Record<string, string>>>;
  /** The request was answered 401: whether it is worth asking again at once, with another credential. */
  refused(): Promise<boolean>;
  /** Whether requests carry the browser's cookies. */
  readonly cookies: boolean;
}

/** Anybody: for enrolment, and for what is told to everybody. */
export const anonymous: Authorization = {
  headers: () => Promise.resolve({}),
  refused: () => Promise.resolve(false),
  cookies: false,
};

/** A token that somebody else keeps good, such as that of a subscriber. */
export function bearer(token: string | (() => string | Promise<string>)): Authorization {
  return {
    headers: async () => ({ authorization: `Bearer ${typeof token === "string" ? token : await token()}` }),
    refused: () => Promise.resolve(false),
    cookies: false,
  };
}

/** The login of an app. */
export function basic(username: string, password: string): Authorization {
  const bytes = new TextEncoder().encode(`${username}:${password}`);
  const encoded = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  return {
    headers: () => Promise.resolve({ authorization: `Basic ${encoded}` }),
    refused: () => Promise.resolve(false),
    cookies: false,
  };
}

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export interface HttpOptions {
  /** Where the gateway is, such as `https://localhost:8443`; in a page of the gateway itself: "". */
  readonly baseUrl: string;
  readonly authorization?: Authorization | undefined;
  readonly fetch?: Fetch | undefined;
  /** Milliseconds until an answer has to begin. */
  readonly timeoutMs?: number | undefined;
}

export type Query = Readonly<Record<string, string | number | boolean | null | undefined>>;

export interface RequestOptions {
  readonly query?: Query | undefined;
  /** A string is sent as it is, anything else as JSON. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly signal?: AbortSignal | undefined;
  /** The answer is read bit by bit: only its beginning has to come in time. */
  readonly stream?: boolean | undefined;
  /** Statuses, beside those below 300, that are answers and no errors. */
  readonly taken?: readonly number[] | undefined;
}

type Needs<Name extends string, Value> = Value extends undefined
  ? object
  : Partial<Value> extends Value
    ? { readonly [K in Name]?: Value | undefined }
    : { readonly [K in Name]: Value };
type PathOf<R extends keyof Routes> = keyof Routes[R]["path"] extends never
  ? { readonly path?: undefined }
  : { readonly path: Routes[R]["path"] };

/** What a call of a route takes: its path, query and body as the OpenAPI document says. */
export type CallOptions<R extends keyof Routes> = PathOf<R> &
  Needs<"query", Routes[R]["query"]> &
  Needs<"body", Routes[R]["body"]> & {
    readonly signal?: AbortSignal | undefined;
    readonly headers?: Readonly<Record<string, string>> | undefined;
  };

type CallArguments<R extends keyof Routes> =
  Partial<CallOptions<R>> extends CallOptions<R> ? [options?: CallOptions<R>] : [options: CallOptions<R>];

/** One gateway, called by one caller. */
export class HttpApi {
  readonly baseUrl: string;
  readonly authorization: Authorization;
  private readonly fetch: Fetch;
  private readonly timeoutMs: number;

  constructor(options: HttpOptions) {
    this.baseUrl = options.baseUrl.replace(/\/+$/, "");
    this.authorization = options.authorization ?? anonymous;
    this.fetch = options.fetch ?? ((url, init) => fetch(url, init));
    this.timeoutMs = options.timeoutMs ?? 30_000;
  }

  /** The same gateway, called by another one. */
  as(authorization: Authorization): HttpApi {
    return new HttpApi({ baseUrl: this.baseUrl, authorization, fetch: this.fetch, timeoutMs: this.timeoutMs });
  }

  /** Call a route by its method and path template: `api.call("GET /v1/users/{user}/types", { path: { user } })`. */
  async call<R extends keyof Routes>(route: R, ...[options]: CallArguments<R>): Promise<Routes[R]["answer"]> {
    const { path, ...rest } = (options ?? {}) as RequestOptions & { path?: Record<string, string> };
    const [method = "GET", template = "/"] = route.split(" ", 2);
    const answer = await this.request(method, filled(template, path ?? {}), rest);
    return await json(answer);
  }

  /** Any request. HealthSyncError for whatever is no answer (below 300, or in `taken`). */
  async request(method: string, path: string, options: RequestOptions = {}): Promise<Response> {
    for (let again = true; ; again = false) {
      const answer = await this.asked(method, path, options);
      if (answer.status < 300 || options.taken?.includes(answer.status)) return answer;
      if (answer.status === 401 && again && (await this.authorization.refused())) continue;
      throw await errorOf(answer);
    }
  }

  private async asked(method: string, path: string, options: RequestOptions): Promise<Response> {
    const { body, signal } = options;
    const headers: Record<string, string> = {
      accept: "application/json",
      ...(await this.authorization.headers(method)),
    };
    if (body !== undefined && typeof body !== "string") headers["content-type"] = "application/json";
    Object.assign(headers, options.headers);
    const giveUp = new AbortController();
    const abort = (): void => giveUp.abort(signal?.reason);
    if (signal?.aborted) abort();
    signal?.addEventListener("abort", abort);
    const timer = setTimeout(() => giveUp.abort(new Error(`no answer within ${this.timeoutMs} ms`)), this.timeoutMs);
    let streams = false;
    try {
      const answer = await this.fetch(this.baseUrl + path + queried(options.query), {
        method,
        headers,
        signal: giveUp.signal,
        credentials: this.authorization.cookies ? "same-origin" : "omit",
        ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      });
      streams = options.stream === true && answer.ok;
      if (streams) return answer;
      const said = await answer.text();
      const { status, statusText } = answer;
      return new Response(said === "" ? null : said, { status, statusText, headers: answer.headers });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new UnavailableError(`the service cannot be reached: ${why(error)}`, { cause: error });
    } finally {
      clearTimeout(timer);
      if (!streams) signal?.removeEventListener("abort", abort);
    }
  }
}

/** A path template with its variables filled in. */
export function filled(template: string, values: Readonly<Record<string, string>>): string {
  return template.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(values[name] ?? ""));
}

/** The query of a URL; what is null or undefined is left out. */
export function queried(query: Query = {}): string {
  const said = Object.entries(query).filter(([, value]) => value !== undefined && value !== null);
  const pairs = said.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`);
  return pairs.length ? `?${pairs.join("&")}` : "";
}

/** The JSON of an answer. UnavailableError where it was cut or is none. */
export async function json(answer: Response): Promise<unknown> {
  try {
    return await answer.json();
  } catch (error) {
    throw new UnavailableError(`the answer could not be read: ${why(error)}`, { cause: error });
  }
}

/** The error that an answer means. */
export async function errorOf(answer: Response): Promise<HealthSyncError> {
  const problem = await problemOf(answer);
  const detail = { reason: problem.reason, hint: problem.hint };
  switch (answer.status) {
    case 401:
      return new DeniedError(problem.detail, detail);
    case 410:
      return new SyncTokenError(problem.detail, detail);
    case 413:
      return new TooLargeError(problem.detail);
    case 408: // a smaller one may come in time
      return new UnavailableError(problem.detail, { ...detail, retryAfterMs: retryAfterMs(answer) });
  }
  if (answer.status === 429 || answer.status >= 500)
    return new UnavailableError(problem.detail, { ...detail, retryAfterMs: retryAfterMs(answer), answered: true });
  return new ProblemError(problem);
}

async function problemOf(answer: Response): Promise<Problem> {
  const said: unknown = await answer.json().catch(() => undefined);
  const told = typeof said === "object" && said !== null ? (said as Partial<Problem>) : {};
  return {
    type: "about:blank",
    title: answer.statusText,
    detail: `the service answered ${answer.status}`,
    reason: "http",
    request_id: answer.headers.get("x-request-id") ?? "",
    ...told,
    status: answer.status,
  };
}

function retryAfterMs(answer: Response): number | undefined {
  const said = answer.headers.get("retry-after");
  return said !== null && /^\d+$/.test(said) ? Number(said) * 1_000 : undefined;
}

function why(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message;
}

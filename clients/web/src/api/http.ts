/** Requests to the gateway that served this page, and what it answers when it refuses. */

export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly reason: string,
    message: string,
    readonly hint: string,
  ) {
    super(message);
  }
}

export interface Sent {
  method?: "GET" | "POST" | "PUT" | "DELETE" | "PATCH";
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

export const CSRF_COOKIE = "__Host-healthsync-csrf=";

/** The word of this session, which only a page of ours can read; empty without a session. */
export function csrfWord(): string {
  const pair = document.cookie.split("; ").find((each) => each.startsWith(CSRF_COOKIE));
  return pair === undefined ? "" : pair.slice(CSRF_COOKIE.length).replaceAll('"', "");
}

/** The answer as JSON. Throws Refusal for what the gateway says, TypeError when there is no network. */
export async function ask<T>(path: string, sent: Sent = {}): Promise<T> {
  return (await (await fetched(path, sent)).json()) as T;
}

/** The same as the response itself, for what is no JSON. */
export async function fetched(path: string, sent: Sent = {}): Promise<Response> {
  const method = sent.method ?? "GET";
  const headers: Record<string, string> = { ...sent.headers };
  if (method !== "GET") headers["X-CSRF-Token"] = csrfWord();
  let body: BodyInit | null = null;
  if (sent.body instanceof Blob || typeof sent.body === "string") body = sent.body;
  else if (sent.body !== undefined) {
    body = JSON.stringify(sent.body);
    headers["Content-Type"] = "application/json";
  }
  const answer = await fetch(path, { method, headers, body, signal: sent.signal ?? null, credentials: "same-origin" });
  if (!answer.ok) throw await refusalOf(answer);
  return answer;
}

async function refusalOf(answer: Response): Promise<Refusal> {
  const told = (await answer.json().catch(() => ({}))) as { reason?: string; detail?: string; hint?: string };
  return new Refusal(answer.status, told.reason ?? "failed", told.detail ?? answer.statusText, told.hint ?? "");
}

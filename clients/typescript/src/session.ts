/** A person's session in a browser: cookies that no script reads, and the word that changes repeat. */

import { type Authorization, HttpApi, type HttpOptions } from "./http.js";
import type { Session } from "./generated.js";

const SAFE = new Set(["GET", "HEAD", "OPTIONS"]);

export interface SessionOptions extends Omit<HttpOptions, "authorization"> {
  /** Do `work` while no other tab does: a refresh is good once. */
  readonly exclusively?: (<T>(work: () => Promise<T>) => Promise<T>) | undefined;
  /** The word as the browser keeps it (`csrfFromCookie` of `@healthsync/client/browser`). */
  readonly csrf?: (() => string | undefined) | undefined;
}

/** The caller of the gateway that a person logged in as. It renews its cookies when they have ended. */
export class BrowserSession implements Authorization {
  readonly cookies = true;
  /** The gateway, called in this session. */
  readonly api: HttpApi;
  private word = "";
  private refreshing: Promise<boolean> | undefined;

  constructor(private readonly options: SessionOptions) {
    this.api = new HttpApi({ ...options, authorization: this });
  }

  headers(method: string): Promise<Record<string, string>> {
    const said = this.options.csrf?.() ?? this.word;
    return Promise.resolve<Record<string, string>>(SAFE.has(method) || !said ? {} : { "x-csrf-token": said });
  }

  refused(): Promise<boolean> {
    this.refreshing ??= this.refreshed().finally(() => {
      this.refreshing = undefined;
    });
    return this.refreshing;
  }

  /** Open a one-time link by its code: the browser has a session then. DeniedError. */
  open(code: string): Promise<Session> {
    return this.said(this.plain().call("GET /v1/invites/{code}", { path: { code } }));
  }

  /** Who is logged in. DeniedError when nobody is. */
  whose(): Promise<Session> {
    return this.said(this.api.call("GET /v1/session"));
  }

  /** End the session. */
  async end(): Promise<void> {
    await this.api.call("DELETE /v1/session");
    this.word = "";
  }

  private async said(asked: Promise<Session>): Promise<Session> {
    const session = await asked;
    this.word = session.csrf_token;
    return session;
  }

  private refreshed(): Promise<boolean> {
    const work = async (): Promise<boolean> => {
      try {
        await this.said(this.plain().call("POST /v1/session/refresh"));
        return true;
      } catch {
        return false;
      }
    };
    return this.options.exclusively ? this.options.exclusively(work) : work();
  }

  /** The same without this session's answer to 401. */
  private plain(): HttpApi {
    return this.api.as({
      cookies: true,
      headers: (method) => this.headers(method),
      refused: () => Promise.resolve(false),
    });
  }
}

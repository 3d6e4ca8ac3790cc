/** A request of React Native's `XMLHttpRequest`, as far as `fetch` is made of it there: text, to the end or not at all. */

import { ask, giveUp } from "./host.js";

export interface Answered {
  readonly status: number;
  readonly statusText: string;
  readonly headers: ReadonlyArray<readonly [name: string, value: string]>;
  readonly text: string;
}

type Listener = () => void;

export class HostRequest {
  readyState = 0;
  status = 0;
  statusText = "";
  response = "";
  responseURL = "";
  withCredentials = false;
  onload: Listener | null = null;
  onerror: Listener | null = null;
  onabort: Listener | null = null;
  private method = "GET";
  private url = "";
  private readonly headers: Record<string, string> = {};
  private answered = "";
  private id = 0;

  open(method: string, url: string): void {
    this.method = method;
    this.url = url;
  }

  setRequestHeader(name: string, value: string): void {
    this.headers[name] = value;
  }

  getAllResponseHeaders(): string {
    return this.answered;
  }

  send(body: unknown): void {
    const { method, url, headers } = this;
    const sent = { method, url, headers, ...(typeof body === "string" ? { body } : {}) };
    this.id = ask("request", sent, (said) => {
      const answer = said as Answered | null;
      this.readyState = 4;
      if (answer === null) {
        this.onerror?.();
        return;
      }
      this.status = answer.status;
      this.statusText = answer.statusText;
      this.response = answer.text;
      this.responseURL = url;
      this.answered = answer.headers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
      this.onload?.();
    });
  }

  abort(): void {
    giveUp(this.id);
    this.readyState = 0;
    this.onabort?.();
  }
}

/** Events as they are stored: one stream for all of the page, resumed where it broke off. */

export interface HealthEvent {
  seq: number;
  id: string;
  user_id: string;
  device_id: string | null;
  type: string;
  start_time: string | null;
  end_time: string | null;
  value: Record<string, unknown> | null;
  op: "upsert" | "delete";
  received_at: string;
}

type Taker = (event: HealthEvent) => void;

export class Live {
  private readonly takers = new Set<Taker>();
  private readonly watchers = new Set<() => void>();
  private source: EventSource | null = null;
  private last = "";
  private retry = 0;
  connected = false;

  constructor(private readonly user: string) {}

  /** Be told of each event until the returned function is called; the stream is open while anybody wants it. */
  take(taker: Taker): () => void {
    this.takers.add(taker);
    if (this.source === null) this.open();
    return () => {
      this.takers.delete(taker);
      if (this.takers.size === 0) this.close();
    };
  }

  watch = (watcher: () => void): (() => void) => {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  };

  private open(): void {
    const from = this.last === "" ? "" : `&from=${Number(this.last) + 1}`;
    const source = new EventSource(`/v1/stream?user=${encodeURIComponent(this.user)}${from}`);
    source.onopen = () => this.say(true);
    source.onmessage = (message: MessageEvent<string>) => {
      this.last = message.lastEventId;
      const event = JSON.parse(message.data) as HealthEvent;
      for (const taker of this.takers) taker(event);
    };
    source.onerror = () => {
      this.say(false);
      if (source.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
      source.close();
      window.clearTimeout(this.retry);
      this.retry = window.setTimeout(() => this.takers.size > 0 && this.open(), 5_000);
    };
    this.source = source;
  }

  private close(): void {
    window.clearTimeout(this.retry);
    this.source?.close();
    this.source = null;
    this.say(false);
  }

  private say(connected: boolean): void {
    if (this.connected === connected) return;
    this.connected = connected;
    for (const watcher of this.watchers) watcher();
  }
}

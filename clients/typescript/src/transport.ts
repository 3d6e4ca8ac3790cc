/** The port between the device client and the network: HTTP and MQTT keep it alike. */

import type { HealthSyncError } from "./errors.js";
import { DeniedError, ProblemError, UnavailableError } from "./errors.js";
import { anonymous, errorOf, type HttpApi, json } from "./http.js";
import { toldBy, type Told } from "./receipt.js";

/** One live connection, or what stands for one. It never comes back once it has ended. */
export interface Link {
  /**
   * Send one batch (its JSON) and hear what became of its events. TooLargeError when it is longer than the service
   * takes; any other HealthSyncError says nothing of the events, and ends the link.
   */
  send(batch: string, body: string): Promise<Told>;
  /** Resolves with the reason when the link ends by itself. */
  readonly ended: Promise<HealthSyncError>;
  /** Say goodbye; whatever is not answered is answered no more. */
  close(): Promise<void>;
}

/** Makes links for one device. */
export interface Transport {
  /** How many batches may be on their way at once. */
  readonly maxInFlight: number;
  /** Connect and log in. UnavailableError when unreachable, DeniedError when refused. */
  connect(signal: AbortSignal): Promise<Link>;
}

/** Events over HTTP: each batch is a request, and its answer the receipt. `api` is called by the device's login. */
export class HttpTransport implements Transport {
  /** The last batch got no answer: before the next one it is asked whether anybody is there, as a connection would tell. */
  private lost = false;

  constructor(
    private readonly api: HttpApi,
    readonly maxInFlight = 2,
  ) {}

  async connect(signal: AbortSignal): Promise<Link> {
    await this.api.authorization.headers("POST"); // who has no login that is good is told here
    if (this.lost) await this.look(signal);
    const gone = new AbortController();
    const end = (): void => gone.abort();
    signal.addEventListener("abort", end);
    return {
      send: (_, body) => this.send(body, gone.signal),
      ended: new Promise(() => undefined),
      close: () => {
        signal.removeEventListener("abort", end);
        gone.abort();
        return Promise.resolve();
      },
    };
  }

  private async look(signal: AbortSignal): Promise<void> {
    await this.api
      .as(anonymous)
      .request("GET", "/v1/session/ways", { signal })
      .catch((error: unknown) => {
        if (signal.aborted || (error instanceof UnavailableError && !error.answered)) throw error;
      });
  }

  private async send(body: string, signal: AbortSignal): Promise<Told> {
    const headers = { "content-type": "application/json" };
    const answer = await this.api
      .request("POST", "/v1/events", { body, headers, signal, taken: [422] })
      .catch((error: unknown): never => {
        if (signal.aborted) throw new UnavailableError("the link was closed", { reason: "closed" });
        if (error instanceof ProblemError && error.status === 403) {
          throw new DeniedError(error.message, { reason: error.reason, hint: error.hint });
        }
        if (error instanceof UnavailableError && !error.answered) this.lost = true;
        throw error;
      });
    this.lost = false;
    const told = toldBy(await json(answer.clone()));
    if (told) return told;
    if (answer.status === 422) throw await errorOf(answer);
    throw new UnavailableError("the answer is no receipt", { hint: "is there a proxy that answers for the service?" });
  }
}

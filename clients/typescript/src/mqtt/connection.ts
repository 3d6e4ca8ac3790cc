/** One MQTT connection as promises; it never reconnects by itself. */

import mqtt, { type IClientOptions, type MqttClient } from "mqtt";
import { asError, DeniedError, type HealthSyncError, TooLargeError, UnavailableError } from "../errors.js";
import { bytesOf } from "../events.js";

const HEADER_BYTES = 10;
const NOT_AUTHORIZED = 0x87;
const TOO_LARGE: ReadonlySet<number> = new Set([0x95, 0x97]);
/** Refusals of a login that another try does not mend: those of MQTT 5, and those of 3.1.1. */
const LOGIN_REFUSED: ReadonlySet<number> = new Set([0x84, 0x85, 0x86, 0x87, 0x8a, 0x8c, 1, 2, 4, 5]);
/** The acknowledgement of a message that was read, and of which nothing was taken. */
const READ: ReadonlySet<number> = new Set([0x83, 0x99]);

export interface MqttPlace {
  /** `wss://host:8084` in a browser, `mqtts://host:8883` in Node, too. */
  readonly url: string;
  /** Further options of MQTT.js, such as `ca` in Node. */
  readonly mqtt?: IClientOptions | undefined;
  /** Milliseconds until a connection has to be there, and an acknowledgement. */
  readonly timeoutMs?: number | undefined;
}

export interface MqttIdentity {
  readonly clientId: string;
  readonly username: string;
  readonly password: string;
  readonly will?: { readonly topic: string; readonly payload: string } | undefined;
}

export class MqttConnection {
  /** Resolves with the reason when the connection has ended. */
  readonly ended: Promise<HealthSyncError>;
  private readonly takers = new Map<string, (payload: string) => void>();
  private end: (error: HealthSyncError) => void = () => undefined;
  private over: HealthSyncError | undefined;

  private constructor(
    private readonly client: MqttClient,
    private readonly timeoutMs: number,
    private readonly maxPacket: number,
  ) {
    this.ended = new Promise((resolve) => {
      this.end = (error) => {
        this.over ??= error;
        resolve(error);
      };
    });
    client.on("message", (topic, payload) => this.takers.get(topic)?.(new TextDecoder().decode(payload)));
    client.on("disconnect", ({ reasonCode, properties }) => {
      const why = properties?.reasonString ?? `the service ended the connection (${reasonCode ?? 0})`;
      this.end(new UnavailableError(why, { reason: "disconnected" }));
    });
    client.on("error", (error) => this.end(asError(error)));
    client.on("close", () => this.end(new UnavailableError("the connection was lost", { reason: "connection_lost" })));
  }

  /** DeniedError when the login is refused, UnavailableError when nobody answers. */
  static open(place: MqttPlace, identity: MqttIdentity, signal: AbortSignal): Promise<MqttConnection> {
    const { url, timeoutMs = 30_000 } = place;
    const client = mqtt.connect(url, {
      keepalive: 30,
      ...place.mqtt,
      protocolVersion: 5,
      clean: true,
      reconnectPeriod: 0,
      resubscribe: false,
      connectTimeout: timeoutMs,
      clientId: identity.clientId,
      username: identity.username,
      password: identity.password,
      ...(identity.will
        ? { will: { ...identity.will, payload: identity.will.payload as never, qos: 1, retain: true } }
        : {}),
    });
    return new Promise((resolve, reject) => {
      const refuse = (error: HealthSyncError): void => {
        client.end(true);
        reject(error);
      };
      const abort = (): void => refuse(new UnavailableError("the client is closed", { reason: "closed" }));
      signal.addEventListener("abort", abort, { once: true });
      if (signal.aborted) abort();
      client.once("connect", ({ properties }) => {
        signal.removeEventListener("abort", abort);
        client.removeAllListeners("error").removeAllListeners("close");
        resolve(new MqttConnection(client, timeoutMs, properties?.maximumPacketSize ?? Infinity));
      });
      client.on("error", (error) => refuse(loginError(error)));
      client.on("close", () =>
        refuse(new UnavailableError("the service cannot be reached", { reason: "connection_lost" })),
      );
    });
  }

  /** Hear what comes on one topic from now on. DeniedError when it is refused. */
  async subscribe(topic: string, taker: (payload: string) => void): Promise<void> {
    this.takers.set(topic, taker);
    const refused = await this.within<string | undefined>((done) =>
      this.client.subscribe(topic, { qos: 1 }, (error) => done(error ? error.message : undefined)),
    );
    if (refused !== undefined)
      throw new DeniedError(`the service refused ${topic}: ${refused}`, { reason: "not_allowed" });
  }

  /**
   * Send at QoS 1; resolves when the service acknowledged it, or said that it took nothing of it, for reasons that a
   * receipt says. TooLargeError, DeniedError.
   */
  async publish(topic: string, payload: string, retain = false): Promise<void> {
    if (this.over) throw this.over;
    const size = bytesOf(payload) + bytesOf(topic) + HEADER_BYTES;
    if (size > this.maxPacket) throw this.tooLarge(topic);
    const error = await this.within<(Error & { readonly code?: unknown }) | undefined>((done) =>
      this.client.publish(topic, payload, { qos: 1, retain }, (refused) => done(refused ?? undefined)),
    );
    if (!error || (typeof error.code === "number" && READ.has(error.code))) return;
    if (error.code === NOT_AUTHORIZED) {
      throw new DeniedError("the service does not take messages of this device there", { reason: "not_allowed" });
    }
    if (typeof error.code === "number" && TOO_LARGE.has(error.code)) throw this.tooLarge(topic);
    throw asError(error);
  }

  /** Disconnect. */
  async close(): Promise<void> {
    this.end(new UnavailableError("the link was closed", { reason: "closed" }));
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => this.client.end(true, {}, () => resolve()), 2_000);
      this.client.end(false, {}, () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  private tooLarge(topic: string): TooLargeError {
    const limit = Number.isFinite(this.maxPacket) ? this.maxPacket - bytesOf(topic) - HEADER_BYTES : undefined;
    return new TooLargeError("the service takes no packet of this size", limit);
  }

  private within<T>(begin: (done: (value: T) => void) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new UnavailableError("the service did not answer in time")),
        this.timeoutMs,
      );
      void this.ended.then((error) => {
        clearTimeout(timer);
        reject(error);
      });
      begin((value) => {
        clearTimeout(timer);
        resolve(value);
      });
    });
  }
}

function loginError(error: Error & { readonly code?: unknown }): HealthSyncError {
  if (typeof error.code === "number" && LOGIN_REFUSED.has(error.code)) {
    return new DeniedError(`the login was refused: ${error.message}`, {
      reason: "denied",
      hint: "why: healthsync device why USER DEVICE",
    });
  }
  return new UnavailableError(`the service cannot be reached: ${error.message}`, { cause: error });
}

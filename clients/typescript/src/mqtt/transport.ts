/** Events over MQTT 5: each batch is a message at QoS 1, and its receipt comes on the device's own topic. */

import { type Clock, systemClock } from "../clock.js";
import type { DeviceLogin } from "../credentials.js";
import { DeniedError, type HealthSyncError, TooLargeError, UnavailableError } from "../errors.js";
import { bytesOf } from "../events.js";
import { randomHex, topic } from "../names.js";
import { toldBy, type RejectedEntry, type Told } from "../receipt.js";
import type { Link, Transport } from "../transport.js";
import { MqttConnection, type MqttPlace } from "./connection.js";

/** Characters of the topic of a refused message that a receipt names. */
const TOPIC_SHOWN = 128;
/** What the service counts of a message beside topic and payload. */
const HEADER_BYTES = 10;

export interface MqttTransportOptions extends MqttPlace {
  readonly login: DeviceLogin;
  /** How many batches may be on their way at once. */
  readonly maxInFlight?: number | undefined;
  /** Milliseconds until a batch has to have its receipt. */
  readonly receiptTimeoutMs?: number | undefined;
  readonly clock?: Clock | undefined;
}

interface Waiting {
  readonly resolve: (told: Told) => void;
  readonly reject: (error: HealthSyncError) => void;
  readonly size: number;
}

/**
 * While it is connected, the device's status topic says `online`; `offline` after a goodbye, `lost` without one. When its
 * token ends the service ends the connection, and the next one has a new token.
 */
export class MqttTransport implements Transport {
  readonly maxInFlight: number;
  private readonly session = randomHex(4);

  constructor(private readonly options: MqttTransportOptions) {
    this.maxInFlight = options.maxInFlight ?? 16;
  }

  async connect(signal: AbortSignal): Promise<Link> {
    const { login } = this.options;
    for (;;) {
      const token = await login.token();
      const { user_id: user, device_id: device, client_id: clientId, username } = await login.credentials();
      const topics = {
        events: topic("device_events", { user, device }),
        receipts: topic("receipts", { user, device }),
        status: topic("status", { user, device }),
      };
      const will = { topic: topics.status, payload: this.status("lost") };
      let connection: MqttConnection;
      try {
        connection = await MqttConnection.open(this.options, { clientId, username, password: token, will }, signal);
      } catch (error) {
        if (error instanceof DeniedError && (await login.refused())) continue; // with a fresh token, at once
        throw error;
      }
      try {
        return await this.greeted(connection, topics);
      } catch (error) {
        await connection.close();
        throw error;
      }
    }
  }

  private async greeted(
    connection: MqttConnection,
    topics: { readonly events: string; readonly receipts: string; readonly status: string },
  ): Promise<Link> {
    const { clock = systemClock, receiptTimeoutMs = 30_000 } = this.options;
    const waiting = new Map<string, Waiting>();
    const broken = new Promise<HealthSyncError>((resolve) => {
      void connection.ended.then(resolve);
    });
    let refused: (error: HealthSyncError) => void = () => undefined;
    const refusal = new Promise<HealthSyncError>((resolve) => (refused = resolve));
    const ended = Promise.race([broken, refusal]);
    void ended.then((error) => {
      for (const { reject } of waiting.values()) reject(error);
      waiting.clear();
    });

    const heard = (payload: string): void => {
      const receipt = parsed(payload);
      const told = toldBy(receipt);
      if (!told) return;
      const batch = typeof receipt["batch"] === "string" ? receipt["batch"] : undefined;
      if (batch !== undefined) {
        waiting.get(batch)?.resolve(told);
        waiting.delete(batch);
        return;
      }
      const whole = told.rejected.find((each) => each.topic === topics.events.slice(0, TOPIC_SHOWN));
      if (whole) this.refuseWhole(whole, waiting, topics.events, refused);
    };
    await connection.subscribe(topics.receipts, heard);
    await connection.publish(topics.status, this.status("online"), true);

    return {
      ended,
      send: (batch, body) =>
        new Promise<Told>((resolve, reject) => {
          waiting.set(batch, { resolve, reject, size: bytesOf(body) });
          const fail = (error: HealthSyncError): void => {
            if (waiting.delete(batch)) reject(error);
          };
          connection
            .publish(topics.events, body)
            .then(() => clock.sleep(receiptTimeoutMs))
            .then(() =>
              fail(new UnavailableError(`no receipt within ${receiptTimeoutMs} ms`, { hint: "healthsync status" })),
            )
            .catch((error: unknown) => fail(error as HealthSyncError));
        }),
      close: async () => {
        await connection.publish(topics.status, this.status("offline"), true).catch(() => undefined);
        await connection.close();
      },
    };
  }

  /** A message was not taken at all: those that are longer than its limit go in parts, or the link ends. */
  private refuseWhole(
    whole: RejectedEntry,
    waiting: Map<string, Waiting>,
    events: string,
    refused: (error: HealthSyncError) => void,
  ): void {
    if (!whole.limit) {
      refused(new DeniedError(whole.message ?? "the service takes no events of this device", { reason: whole.code }));
      return;
    }
    const room = whole.limit - bytesOf(events) - HEADER_BYTES;
    for (const [batch, { reject, size }] of waiting) {
      if (size <= room) continue;
      waiting.delete(batch);
      reject(new TooLargeError(whole.message ?? "the message is too long", room));
    }
  }

  private status(status: string): string {
    return JSON.stringify({ status, session: this.session });
  }
}

function parsed(payload: string): Record<string, unknown> {
  try {
    const said: unknown = JSON.parse(payload);
    return typeof said === "object" && said !== null ? (said as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

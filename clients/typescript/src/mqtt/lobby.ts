/** Credentials over MQTT, for who has a code or a refresh token and no gateway. */

import { type Credentials, enrollBy, type EnrolOptions, type Renew } from "../credentials.js";
import { DeniedError, InputError, UnavailableError } from "../errors.js";
import { randomHex, topic } from "../names.js";
import { MqttConnection, type MqttPlace } from "./connection.js";

const LOGIN = "enroll";
const ANSWER_WITHIN_MS = 15_000;

/** As `enroll`, at a broker: exchange a one-time code for credentials, and keep them. */
export function enrollOverMqtt(place: MqttPlace, code: string, options: EnrolOptions = {}): Promise<Credentials> {
  return enrollBy((client) => exchange(place, code, {}, client), options);
}

/** Renews a device's tokens at its broker. */
export function renewOverMqtt(place: MqttPlace): Renew {
  return async (refreshToken) => {
    const said = await exchange(place, refreshToken, { refresh_token: refreshToken }, randomHex(8));
    const { token, expires_at, refresh_token } = said as unknown as Credentials;
    return { token, expires_at, refresh_token };
  };
}

async function exchange(
  place: MqttPlace,
  password: string,
  request: Readonly<Record<string, string>>,
  name: string,
): Promise<Record<string, unknown>> {
  const client = `${LOGIN}-${name}`;
  const transaction = randomHex(8);
  const none = new AbortController();
  const connection = await MqttConnection.open(place, { clientId: client, username: LOGIN, password }, none.signal);
  try {
    let answered: (payload: string) => void = () => undefined;
    const answer = new Promise<string>((resolve) => (answered = resolve));
    await connection.subscribe(topic("enroll_response", { client }), answered);
    await connection.publish(topic("enroll_request", { client }), JSON.stringify({ ...request, transaction }));
    let timer: ReturnType<typeof setTimeout> | undefined;
    const silence = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new UnavailableError("the service did not answer")), ANSWER_WITHIN_MS);
      void connection.ended.then(reject);
    });
    const said = JSON.parse(await Promise.race([answer, silence]).finally(() => clearTimeout(timer))) as Record<
      string,
      unknown
    >;
    if (said["transaction"] !== transaction) throw new InputError("the service's answer is not one to our request");
    if (said["status"] !== "ok") {
      throw new DeniedError(`the service gave no credentials: ${String(said["message"])}`, {
        reason: String(said["reason"]),
        hint: "ask for a new code: healthsync device enroll USER DEVICE",
      });
    }
    return said;
  } finally {
    await connection.close();
  }
}

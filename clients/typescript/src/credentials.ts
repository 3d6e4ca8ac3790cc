/** A device's login: kept in a store, renewed before it ends, and never lost between two tokens. */

import { type Clock, systemClock } from "./clock.js";
import { DeniedError, InputError, UnavailableError } from "./errors.js";
import { type Authorization, anonymous, type HttpApi, json } from "./http.js";
import { randomHex } from "./names.js";

/** As `healthsync device add USER DEVICE --json` prints them, and as an enrolment answers. */
export interface Credentials {
  readonly user_id: string;
  readonly device_id: string;
  readonly client_id: string;
  readonly username: string;
  readonly token: string;
  readonly expires_at?: string | null | undefined;
  readonly refresh_token?: string | null | undefined;
  readonly refresh_expires_at?: string | null | undefined;
}

/** What a device keeps of its login. `enrolling` is the name under which an enrolment was begun that had no end. */
export interface KeptLogin {
  readonly credentials?: Credentials | undefined;
  readonly enrolling?: string | undefined;
}

/** Where a login is kept. What `save` was given is there after a crash when it has resolved. */
export interface CredentialStore {
  load(): Promise<KeptLogin>;
  save(login: KeptLogin): Promise<void>;
  /** Do `work` while nobody else who has this store does (another tab, another process). */
  exclusively?<T>(work: () => Promise<T>): Promise<T>;
}

/** A login that is gone with its process. */
export class MemoryCredentialStore implements CredentialStore {
  constructor(private login: KeptLogin = {}) {}

  load(): Promise<KeptLogin> {
    return Promise.resolve(this.login);
  }

  save(login: KeptLogin): Promise<void> {
    this.login = login;
    return Promise.resolve();
  }
}

/** The next tokens for a refresh token. DeniedError when it is no good any more, UnavailableError when nobody answered. */
export type Renew = (refreshToken: string) => Promise<Pick<Credentials, "token" | "expires_at" | "refresh_token">>;

const MARGIN_MS = 60_000;
const ATTEMPTS = 3;

/** Credentials from what was printed or kept. InputError when something is missing. */
export function credentialsFrom(said: unknown): Credentials {
  const values = (typeof said === "object" && said !== null ? said : {}) as Record<string, unknown>;
  for (const name of ["user_id", "device_id", "client_id", "username", "token"]) {
    if (typeof values[name] !== "string") {
      throw new InputError(`not the credentials of a device: ${name} is missing`, {
        reason: "bad_input",
        hint: "use the output of: healthsync device add USER DEVICE --json",
      });
    }
  }
  return values as unknown as Credentials;
}

/** Renews over HTTP, at the gateway's token endpoint. */
export function renewOverHttp(api: HttpApi, clock: Clock = systemClock): Renew {
  return async (refreshToken) => {
    const body = `grant_type=refresh_token&refresh_token=${encodeURIComponent(refreshToken)}`;
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    const said = await repeated(clock, async () =>
      json(await api.as(anonymous).request("POST", "/v1/oauth/token", { body, headers })),
    );
    const answer = said as { access_token: string; expires_in: number; refresh_token: string };
    return {
      token: answer.access_token,
      expires_at: new Date(clock.now() + answer.expires_in * 1_000).toISOString(),
      refresh_token: answer.refresh_token,
    };
  };
}

export interface EnrolOptions {
  readonly store?: CredentialStore | undefined;
  readonly clock?: Clock | undefined;
}

/**
 * Exchange the code of `healthsync device enroll USER DEVICE` for credentials, and keep them in `store`.
 *
 * When the answer is lost the same is asked again, also by a program that was ended and started anew with the same
 * store: the service answers it again for a minute. DeniedError for a code that is wrong, used or expired.
 */
export function enroll(api: HttpApi, code: string, options: EnrolOptions = {}): Promise<Credentials> {
  return enrollBy((client) => api.as(anonymous).call("POST /v1/enroll", { body: { code, client } }), options);
}

/** The same by any way: `ask` brings the answer for a client of that name. */
export async function enrollBy(ask: (client: string) => Promise<unknown>, options: EnrolOptions): Promise<Credentials> {
  const store = options.store ?? new MemoryCredentialStore();
  const before = await store.load();
  const client = before.enrolling ?? randomHex(16);
  await store.save({ ...before, enrolling: client }); // and a store that cannot be written says so before the code is used
  let said: unknown;
  try {
    said = await repeated(options.clock ?? systemClock, () => ask(client));
  } catch (error) {
    if (error instanceof DeniedError) await store.save({ credentials: before.credentials });
    throw error;
  }
  const credentials = credentialsFrom(said);
  await store.save({ credentials });
  return credentials;
}

/** The login of a device as a caller of the gateway, and as what MQTT logs in with. */
export class DeviceLogin implements Authorization {
  readonly cookies = false;
  private known: Credentials | undefined;
  private unsaved = false;
  private wasRefused = false;
  /** Until when the token is good that was got here, by the clock that nobody sets. */
  private goodUntil: number | undefined;
  private renewing: Promise<Credentials> | undefined;

  /** `renew` is needed for credentials of an enrolment, which live an hour. */
  constructor(
    private readonly store: CredentialStore,
    private readonly renew?: Renew,
    private readonly clock: Clock = systemClock,
  ) {}

  /** Of credentials at hand, which are kept nowhere. */
  static of(credentials: Credentials, renew?: Renew): DeviceLogin {
    return new DeviceLogin(new MemoryCredentialStore({ credentials }), renew);
  }

  /** The credentials, as they are. DeniedError when there are none. */
  async credentials(): Promise<Credentials> {
    this.known ??= (await this.store.load()).credentials;
    if (this.known === undefined) {
      throw new DeniedError("this device has no credentials", {
        reason: "not_enrolled",
        hint: "enrol it with the code of: healthsync device enroll USER DEVICE",
      });
    }
    return this.known;
  }

  /** A token that is good for a minute at least, as far as is known. DeniedError, UnavailableError. */
  async token(): Promise<string> {
    const known = await this.credentials();
    if (this.unsaved) await this.keep(known);
    if (!this.renew || !known.refresh_token || (!this.wasRefused && this.isGood(known))) return known.token;
    this.renewing ??= this.renewed().finally(() => {
      this.renewing = undefined;
    });
    return (await this.renewing).token;
  }

  async headers(): Promise<Record<string, string>> {
    return { authorization: `Bearer ${await this.token()}` };
  }

  async refused(): Promise<boolean> {
    const again = Boolean((await this.credentials()).refresh_token && this.renew) && !this.wasRefused;
    this.wasRefused = true;
    return again;
  }

  private renewed(): Promise<Credentials> {
    const work = async (): Promise<Credentials> => {
      const before = await this.credentials();
      const kept = (await this.store.load()).credentials ?? before;
      if (kept.token !== before.token && !this.unsaved) {
        // Another tab was first.
        this.known = kept;
        this.goodUntil = undefined;
        if (this.isGood(kept)) {
          this.wasRefused = false;
          return kept;
        }
      }
      const known = this.known ?? before;
      if (!this.renew || !known.refresh_token) return known;
      const next = { ...known, ...(await this.renew(known.refresh_token)) };
      // The service has changed already: what cannot be written now is used all the same, and written later.
      this.known = next;
      this.wasRefused = false;
      const lives = Date.parse(next.expires_at ?? "") - this.clock.now();
      this.goodUntil = Number.isFinite(lives) ? this.clock.monotonic() + lives : undefined;
      await this.keep(next);
      return next;
    };
    return this.store.exclusively ? this.store.exclusively(work) : work();
  }

  private async keep(credentials: Credentials): Promise<void> {
    try {
      await this.store.save({ credentials });
      this.unsaved = false;
    } catch {
      this.unsaved = true;
    }
  }

  /** Whether the token has a minute left: by how long ago it was got, and else by a clock that may be wrong. */
  private isGood(known: Credentials): boolean {
    if (this.goodUntil !== undefined) return this.clock.monotonic() < this.goodUntil - MARGIN_MS;
    const end = Date.parse(known.expires_at ?? "");
    return Number.isNaN(end) || this.clock.now() < end - MARGIN_MS;
  }
}

/** Ask again where nobody answered: the same question has the same answer for a minute. */
async function repeated<T>(clock: Clock, ask: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof UnavailableError) || attempt === ATTEMPTS) throw error;
      await clock.sleep(Math.min(error.retryAfterMs ?? attempt * 1_000, 10_000));
    }
  }
}

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { WebSocket } from "ws";
import {
  basic,
  BrowserSession,
  type CanonicalEvent,
  changesSince,
  type Credentials,
  DeniedError,
  DeviceClient,
  DeviceLogin,
  enroll,
  eventPages,
  type Fetch,
  HttpApi,
  HttpTransport,
  live,
  measured,
  MemoryCredentialStore,
  ProblemError,
  renewOverHttp,
  type Socket,
  SyncTokenError,
  UnavailableError,
} from "@healthsync/client";
import { readings } from "./support/readings.js";
import { admin, gateway, newCode, newDevice, newUser, ready } from "./support/service.js";

describe("a device over HTTP", () => {
  let device: Credentials;
  let client: DeviceClient;

  before(async () => {
    device = await newDevice();
    client = new DeviceClient({ transport: new HttpTransport(gateway(device.token)), batchSize: 100 }).start();
  });

  after(() => client.close());

  it("publishes, is told per event, and reads all of it back by pages and by changes", async () => {
    const good = readings(230);
    const bad = { id: "bad", type: "heart_rate", start_time: "2026-01-01T00:00:00Z", value: { bpm: 900 } };

    const results = await client.publish([...good, bad]);
    const again = await client.publish(good.slice(0, 3));

    assert.deepEqual([results.stored, results.duplicate, results.rejected], [230, 0, 1]);
    assert.deepEqual(results.items.at(-1), {
      id: "bad",
      fate: "rejected",
      reason: "out_of_range",
      field: "value.bpm",
      message: results.items.at(-1)?.message,
      retry: false,
      held: false,
    });
    assert.equal(again.duplicate, 3);

    const api = gateway(device.token);
    const paged: CanonicalEvent[] = [];
    let pages = 0;
    for await (const events of eventPages(api, device.user_id, { type: "heart_rate", limit: 100 })) {
      pages += 1;
      paged.push(...events);
    }
    assert.equal(pages, 3);
    // Two requests at a time may overtake each other.
    assert.deepEqual(paged.map(({ id }) => id).sort(), good.map(({ id }) => id).sort());

    const first: string[] = [];
    let since: string | undefined;
    for await (const page of changesSince(api, undefined, { user: device.user_id, limit: 100 })) {
      first.push(...page.events.map(({ id }) => id));
      since = page.since;
    }
    assert.equal(new Set(first).size, 230);
    await client.publish([
      measured("weight", { kg: 80.5 }, { id: "w-1" }),
      { id: "r-0", type: "heart_rate", op: "delete", version: 1 },
    ]);
    const next: Array<[string, string]> = [];
    for await (const page of changesSince(api, since, { user: device.user_id })) {
      next.push(...page.events.map(({ id, op }): [string, string] => [id, op]));
    }
    assert.deepEqual(next, [
      ["w-1", "upsert"],
      ["r-0", "delete"],
    ]);
    await assert.rejects(changesSince(api, "nothing", { user: device.user_id }).next(), (error) => {
      return error instanceof SyncTokenError || error instanceof ProblemError;
    });
    const { types } = await api.call("GET /v1/users/{user}/types", { path: { user: device.user_id } });
    assert.deepEqual(types.map(({ type }) => type).sort(), ["heart_rate", "weight"]);
  });

  it("is told that what is another user's does not exist, and that a wrong token is no good", async () => {
    const path = { user: "alice" };

    const foreign = gateway(device.token).call("GET /v1/users/{user}/events", { path });
    const wrong = gateway("nothing").call("GET /v1/users/{user}/events", { path });

    await assert.rejects(foreign, (error: ProblemError) => error.status === 404 && error.reason === "not_found");
    await assert.rejects(wrong, DeniedError);
    await assert.rejects(gateway().as(basic("alice", "no")).call("POST /v1/events", { body: [] }), DeniedError);
  });

  it("says that nobody answers where nobody does", async () => {
    const api = new HttpApi({ baseUrl: "https://127.0.0.1:1" });

    await assert.rejects(api.call("GET /v1/catalogue"), UnavailableError);
  });
});

describe("an enrolled device", () => {
  it("gets its login for a code, also when the first answer was lost, and renews it before it ends", async () => {
    const user = await newUser();
    const code = await newCode(user);
    const store = new MemoryCredentialStore();
    const lost = losing(1);

    const credentials = await enroll(gateway(undefined, lost.fetch), code, { store });

    assert.equal(lost.answers, 2);
    assert.equal(credentials.user_id, user);
    assert.deepEqual(await store.load(), { credentials });

    // A clock that says that the token is about to end.
    const late = { credentials: { ...credentials, expires_at: new Date().toISOString() } };
    await store.save(late);
    const lostAgain = losing(1);
    const login = new DeviceLogin(store, renewOverHttp(gateway(undefined, lostAgain.fetch)));
    const client = new DeviceClient({ transport: new HttpTransport(gateway().as(login)) }).start();
    const now = new Date().toISOString();
    const results = await client.publish(measured("steps", { steps: 4 }, { start_time: now, end_time: now }));
    await client.close();

    assert.equal(results.stored, 1);
    const kept = (await store.load()).credentials;
    assert.notEqual(kept?.token, credentials.token);
    assert.notEqual(kept?.refresh_token, credentials.refresh_token);

    // One refresh for all that ask at once.
    await store.save({
      credentials: { ...credentials, ...kept, expires_at: new Date(0).toISOString() },
    });
    const counted = losing(0);
    const shared = new DeviceLogin(store, renewOverHttp(gateway(undefined, counted.fetch)));
    const tokens = await Promise.all([shared.token(), shared.token(), shared.token()]);
    assert.equal(new Set(tokens).size, 1);
    assert.equal(counted.answers, 1);
  });

  it("is denied for a code that is none, and may be enrolled with another one", async () => {
    const store = new MemoryCredentialStore();

    await assert.rejects(enroll(gateway(), "K7QF-3M2D-9XWP-HT4V", { store }), DeniedError);

    assert.deepEqual(await store.load(), { credentials: undefined });
    await assert.rejects(new DeviceLogin(store).token(), { reason: "not_enrolled" });
  });

  it("refreshes once where its token is refused, and then says so", async () => {
    const user = await newUser();
    const code = await newCode(user);
    const credentials = await enroll(gateway(), code);
    const store = new MemoryCredentialStore({ credentials: { ...credentials, token: "spoilt" } });
    const login = new DeviceLogin(store, renewOverHttp(gateway()));

    const page = await gateway().as(login).call("GET /v1/users/{user}/events", { path: { user } });

    assert.deepEqual(page.events, []);
    await admin.call("POST /v1/users/{user}/devices/{device}/suspend", { path: { user, device: "watch" } });
    await assert.rejects(gateway().as(login).call("GET /v1/users/{user}/events", { path: { user } }), DeniedError);
  });
});

describe("live events", () => {
  let device: Credentials;
  let client: DeviceClient;

  before(async () => {
    device = await newDevice();
    client = new DeviceClient({ transport: new HttpTransport(gateway(device.token)) }).start();
  });

  after(() => client.close());

  for (const way of ["SSE", "WebSocket"] as const) {
    it(`go on over ${way} behind the last one when the connection was lost`, async () => {
      const cuts: Array<() => void> = [];
      const enough = new AbortController();
      const fetched: Fetch = async (url, init) => {
        const cut = new AbortController();
        cuts.push(() => cut.abort());
        return fetch(url, { ...init, signal: AbortSignal.any([cut.signal, ...(init.signal ? [init.signal] : [])]) });
      };
      const webSocket = (url: string, protocols: string[]): Socket => {
        const socket = new WebSocket(url, protocols);
        cuts.push(() => socket.terminate());
        return socket as unknown as Socket;
      };
      const name = `live-${way}`;
      const stream = live(gateway(device.token, fetched), {
        user: device.user_id,
        type: "heart_rate",
        from: "earliest",
        signal: enough.signal,
        ...(way === "WebSocket" ? { webSocket } : {}),
      });
      const seen: string[] = [];
      await client.publish(readings(3, name));

      for await (const { event } of stream) {
        if (!event.id.startsWith(name)) continue;
        seen.push(event.id);
        if (seen.length === 2) cuts.at(-1)?.();
        if (seen.length === 3) void client.enqueue(readings(5, name).slice(3));
        if (seen.length >= 5) enough.abort();
      }

      assert.deepEqual(
        [...new Set(seen)],
        readings(5, name).map(({ id }) => id),
      );
      assert.ok(cuts.length >= 2);
    });
  }
});

describe("a person's session", () => {
  it("is opened by a link, changes things with its word, renews its cookies and ends", async () => {
    const [user, carer] = [await newUser(), await newUser()];
    const invite = await admin.call("POST /v1/users/{user}/invites", { path: { user }, body: {} });
    const jar = new CookieJar();
    const session = new BrowserSession({ baseUrl: ready.http, fetch: jar.fetch });

    const opened = await session.open(invite.path.slice(invite.path.lastIndexOf("/") + 1));

    assert.equal(opened.name, user);
    assert.equal((await session.whose()).name, user);
    const path = { user, carer };
    const body = { types: ["steps"], until: new Date(Date.now() + 86_400_000).toISOString() };
    assert.equal((await session.api.call("PUT /v1/users/{user}/carers/{carer}", { path, body })).carer, carer);

    jar.cookies.delete("__Host-healthsync"); // as a browser does when it has ended
    const { carers } = await session.api.call("GET /v1/users/{user}/carers", { path: { user } });
    assert.deepEqual(
      carers.map((each) => each.carer),
      [carer],
    );
    assert.ok(jar.cookies.has("__Host-healthsync"));

    await session.end();
    await assert.rejects(session.whose(), DeniedError);
  });
});

/** A fetch that loses the first `count` answers, after the service has given them. */
function losing(count: number): { fetch: Fetch; answers: number } {
  const counted = {
    answers: 0,
    fetch: async (url: string, init: RequestInit): Promise<Response> => {
      const answer = await fetch(url, init);
      counted.answers += 1;
      if (counted.answers <= count) throw new TypeError("lost");
      return answer;
    },
  };
  return counted;
}

/** As much of a browser as cookies need. */
class CookieJar {
  readonly cookies = new Map<string, string>();

  readonly fetch: Fetch = async (url, init) => {
    const said = [...this.cookies].filter(([name]) => !name.includes("refresh") || url.includes("/v1/session"));
    const headers = new Headers(init.headers);
    if (init.credentials !== "omit" && said.length)
      headers.set("cookie", said.map((pair) => pair.join("=")).join("; "));
    const answer = await fetch(url, { ...init, headers });
    for (const line of answer.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (value.replaceAll('"', "")) this.cookies.set(name, value);
      else this.cookies.delete(name);
    }
    return answer;
  };
}

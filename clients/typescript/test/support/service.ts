/** The service that scripts/test.mjs started: where it is, and commands of its administrator. */

import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { promisify } from "node:util";
import { bearer, type Credentials, enroll, type Fetch, HttpApi } from "@healthsync/client";

interface Ready {
  readonly http: string;
  readonly wss: string;
  readonly mqtts: string;
  readonly ca_file: string;
}

export const ready = JSON.parse(process.env["HEALTHSYNC_TEST_READY"] ?? "null") as Ready;

const run = promisify(execFile);

/** The first line that a command prints. */
export async function cli(...words: string[]): Promise<Record<string, unknown>> {
  const program = process.env["HEALTHSYNC"] ?? "healthsync";
  const { stdout } = await run(program, [...words, "--json"], { timeout: 120_000 });
  return JSON.parse(stdout.split("\n")[0] ?? "{}") as Record<string, unknown>;
}

/** The gateway as its administrator sees it. */
export const admin = gateway(process.env["HEALTHSYNC_TEST_ADMIN"] ?? "");

/** A new user, who agrees to everything. */
export async function newUser(): Promise<string> {
  const user = newName();
  await admin.call("POST /v1/users", { body: { user_id: user, consent: ["all"] } });
  return user;
}

/** A code that enrols a device of the user. */
export async function newCode(user: string, device = "watch"): Promise<string> {
  const route = "POST /v1/users/{user}/devices/{device}/enrolment";
  return (await admin.call(route, { path: { user, device } })).code;
}

/** A new user with a device of its own. */
export async function newDevice(device = "phone"): Promise<Credentials> {
  return enroll(gateway(), await newCode(await newUser(), device));
}

/** A name that no other test has. */
export function newName(): string {
  return `u-${randomBytes(6).toString("hex")}`;
}

/** The gateway as somebody with this token sees it. */
export function gateway(token?: string, fetch?: Fetch): HttpApi {
  return new HttpApi({ baseUrl: ready.http, ...(token === undefined ? {} : { authorization: bearer(token) }), fetch });
}

/** Passkeys of who is signed in, and signing in with one: what the service asks, the browser's authenticator answers. */

import type { Passkeys, Session } from "@healthsync/client";
import { credentialOf, type MakingOptions, makingOf, type SigningOptions, signingOf } from "../model/credential";
import { ask } from "./http";
import { session } from "./session";

export const PASSKEYS = "/v1/session/passkeys";

/** Whether this page may make and use passkeys of the origin that the service has them for. */
export function possibleHere(origin: string | null | undefined): boolean {
  return origin === location.origin && "credentials" in navigator && "PublicKeyCredential" in window;
}

/** Make one, with whatever the person has at hand. False where they would rather not. */
export async function addPasskey(name: string): Promise<boolean> {
  const options = await ask<MakingOptions>(`${PASSKEYS}/challenge`, { method: "POST" });
  const made = await answered(navigator.credentials.create({ publicKey: makingOf(options) }));
  if (made === null) return false;
  await ask<Passkeys>(PASSKEYS, { method: "POST", body: { name, credential: credentialOf(made) } });
  return true;
}

/** Sign in with one of those that there are for here. False where the person would rather not, or has none. */
export async function signIn(): Promise<boolean> {
  const options = await ask<SigningOptions>("/v1/session/challenge", { method: "POST" });
  const signed = await answered(navigator.credentials.get({ publicKey: signingOf(options) }));
  if (signed === null) return false;
  await session.begun(
    await ask<Session>("/v1/session", { method: "POST", body: { credential: credentialOf(signed) } }),
  );
  return true;
}

async function answered(asked: Promise<Credential | null>): Promise<PublicKeyCredential | null> {
  try {
    return (await asked) as PublicKeyCredential | null;
  } catch (error) {
    // Browsers say this for "no", for "too late" and for "there is none", so that no page learns which.
    if (error instanceof DOMException && error.name === "NotAllowedError") return null;
    throw error;
  }
}

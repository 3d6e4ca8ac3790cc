/** Passkeys as WebAuthn's JSON has them, and as browsers take and give them, newer and older ones alike. Pure. */

export interface MakingOptions {
  challenge: string;
  rp: PublicKeyCredentialRpEntity;
  user: { id: string; name: string; displayName: string };
  pubKeyCredParams: PublicKeyCredentialParameters[];
  timeout?: number;
  excludeCredentials?: { id: string; type: "public-key" }[];
  authenticatorSelection?: AuthenticatorSelectionCriteria;
  attestation?: AttestationConveyancePreference;
}

export interface SigningOptions {
  challenge: string;
  rpId?: string;
  timeout?: number;
  userVerification?: UserVerificationRequirement;
}

export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
}

export function textOf(bytes: ArrayBuffer): string {
  return btoa(String.fromCharCode(...new Uint8Array(bytes)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

export function makingOf(said: MakingOptions): PublicKeyCredentialCreationOptions {
  const { challenge, user, excludeCredentials = [], ...rest } = said;
  return {
    ...rest,
    challenge: bytesOf(challenge),
    user: { ...user, id: bytesOf(user.id) },
    excludeCredentials: excludeCredentials.map(({ id, type }) => ({ id: bytesOf(id), type })),
  };
}

export function signingOf({ challenge, rpId, timeout, userVerification }: SigningOptions): {
  challenge: Uint8Array<ArrayBuffer>;
} & PublicKeyCredentialRequestOptions {
  return {
    challenge: bytesOf(challenge),
    ...(rpId === undefined ? {} : { rpId }),
    ...(timeout === undefined ? {} : { timeout }),
    ...(userVerification === undefined ? {} : { userVerification }),
  };
}

/** What a browser gave, as the service reads it. */
export function credentialOf(given: PublicKeyCredential): Record<string, unknown> {
  const response: Record<string, string> = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"] as const) {
    const bytes = (given.response as unknown as Record<string, ArrayBuffer | null | undefined>)[name];
    if (bytes != null) response[name] = textOf(bytes);
  }
  return { id: given.id, rawId: textOf(given.rawId), type: given.type, response, clientExtensionResults: {} };
}

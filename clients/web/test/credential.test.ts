import { expect, test } from "vitest";
import { bytesOf, credentialOf, makingOf, signingOf, textOf } from "../src/model/credential";

const bytes = Uint8Array.from({ length: 256 }, (_, at) => 255 - at);

test("bytes are written as WebAuthn's JSON has them, and read back", () => {
  for (const length of [0, 1, 2, 3, 62, 255, 256]) {
    const some = bytes.slice(0, length);
    const text = textOf(some.buffer);
    expect(text).toMatch(/^[A-Za-z0-9_-]*$/);
    expect(text).toBe(Buffer.from(some).toString("base64url"));
    expect([...bytesOf(text)]).toEqual([...some]);
  }
});

test("what the service asks with becomes what a browser takes, and nothing of it is lost", () => {
  const said = {
    challenge: "_-8",
    rp: { id: "health.example.org", name: "HealthSync" },
    user: { id: "AQI", name: "alice", displayName: "" },
    pubKeyCredParams: [{ type: "public-key" as const, alg: -7 }],
    timeout: 300_000,
    excludeCredentials: [{ id: "Aw", type: "public-key" as const }],
    authenticatorSelection: { residentKey: "required" as const },
  };
  const { challenge, user, excludeCredentials, ...rest } = makingOf(said);
  expect([...(challenge as Uint8Array)]).toEqual([255, 239]);
  expect([...(user.id as Uint8Array)]).toEqual([1, 2]);
  expect(user.name).toBe("alice");
  expect(excludeCredentials?.map(({ id }) => [...(id as Uint8Array)])).toEqual([[3]]);
  const { challenge: _1, user: _2, excludeCredentials: _3, ...kept } = said;
  expect(rest).toEqual(kept);
  const signing = signingOf({ challenge: "AQ", rpId: "localhost", timeout: 5, userVerification: "required" });
  expect({ ...signing, challenge: [...signing.challenge] }).toEqual({
    challenge: [1],
    rpId: "localhost",
    timeout: 5,
    userVerification: "required",
  });
});

test("what a browser gave is told in full, for one that was made and for one that has signed", () => {
  const buffer = (...of: number[]): ArrayBuffer => Uint8Array.from(of).buffer;
  const given = (response: object): PublicKeyCredential =>
    ({ id: "AQI", rawId: buffer(1, 2), type: "public-key", response }) as PublicKeyCredential;
  expect(credentialOf(given({ clientDataJSON: buffer(3), attestationObject: buffer(4) }))).toEqual({
    id: "AQI",
    rawId: "AQI",
    type: "public-key",
    response: { clientDataJSON: "Aw", attestationObject: "BA" },
    clientExtensionResults: {},
  });
  const signed = { clientDataJSON: buffer(3), authenticatorData: buffer(4), signature: buffer(5), userHandle: null };
  expect(credentialOf(given(signed))).toMatchObject({
    response: { clientDataJSON: "Aw", authenticatorData: "BA", signature: "BQ" },
  });
});

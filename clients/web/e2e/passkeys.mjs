// Passkeys, with an authenticator that Chromium has in software (CDP's WebAuthn domain): added, used, removed, and refused.
import assert from "node:assert/strict";
import { test } from "node:test";
import { PUBLIC_URL } from "./service.mjs";
import { skip, stage } from "./stage.mjs";
import { Visitor } from "./visitor.mjs";

/** A phone that its owner unlocks whenever it is asked to; `isUserVerified` false: somebody else has it. */
async function authenticator({ context, page }) {
  const session = await context.newCDPSession(page);
  await session.send("WebAuthn.enable");
  const { authenticatorId } = await session.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      protocol: "ctap2",
      transport: "internal",
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  return {
    held: async () => (await session.send("WebAuthn.getCredentials", { authenticatorId })).credentials,
    verifies: (isUserVerified) => session.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified }),
  };
}

test(
  "a passkey is added with a name, signs in without a link, and signs nobody in once removed",
  { skip },
  async () => {
    await stage.service.cli("user", "add", "pia", "--consent", "all");
    const pia = await Visitor.arrive(stage, "phone", { at: PUBLIC_URL });
    const { page } = pia;
    const phone = await authenticator(pia);
    await pia.signIn("user", "invite", "pia");
    await pia.go("#/settings", "#passkeys");
    await page.waitForSelector("text=There is none yet");
    const name = page.getByLabel("Name of a new passkey");
    await name.fill("My phone");
    await phone.verifies(false);
    await page.getByRole("button", { name: "Add a passkey" }).click();
    await page.waitForSelector("text=None was made");
    await phone.verifies(true);
    await page.getByRole("button", { name: "Add a passkey" }).click();
    const row = page.locator("#passkeys .rows li", { hasText: "My phone" });
    await row.waitFor();
    assert.match(await row.textContent(), /not used yet/);
    await pia.expectSound("settings-passkey");
    const [held] = await phone.held();
    assert.deepEqual([held.rpId, held.isResidentCredential], ["health.example.org", true]);

    await page.getByRole("button", { name: "Sign out", exact: true }).click();
    const enter = page.getByRole("button", { name: "Sign in with a passkey" });
    await enter.waitFor();
    await pia.expectSound("signed-out-passkey");
    await enter.press("Enter");
    await page.getByRole("button", { name: "Sign out", exact: true }).waitFor(); // where the person was before
    await page.waitForSelector("text=used just now");
    assert.equal(await page.locator(".quiet", { hasText: "Signed in as pia" }).count(), 1);

    await row.getByRole("button", { name: "Remove" }).click();
    await page.getByRole("alertdialog").getByRole("button", { name: "Remove" }).click();
    await page.waitForSelector("text=There is none yet");
    await page.getByRole("button", { name: "Sign out", exact: true }).click();
    await enter.click();
    await page.waitForSelector("text=not known here any more");
    assert.deepEqual(
      pia.faults.filter((fault) => !fault.includes("401")),
      [],
    );
    await phone.verifies(false);
    await enter.click();
    await page.waitForSelector("text=Nobody was signed in");
    await pia.context.close();
  },
);

/** The login of an organisation: this browser goes there, and comes back signed in; or ends its session there, too. */

import type { Elsewhere } from "@healthsync/client";
import { ask } from "./http";
import { session } from "./session";

const PATH = "/v1/session/organisation";

export async function goThere(): Promise<void> {
  const { url } = await ask<Elsewhere>(PATH, { method: "POST" });
  if (url !== null) location.assign(url);
}

export async function endThere(): Promise<void> {
  const { url } = await ask<Elsewhere>(`${PATH}/end`, { method: "POST" });
  await session.over();
  if (url !== null) location.assign(url);
}

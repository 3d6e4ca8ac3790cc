/** Any number over any time, from minutes to years. */

import { type ReactElement } from "react";
import type { Live } from "../api/live";
import { say } from "../words/words";

export function Charts(_: { user: string; type: string; live: Live }): ReactElement {
  return <h1>{say("charts.title")}</h1>;
}

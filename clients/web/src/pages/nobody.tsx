/** The page of who is not signed in: how one comes in. */

import type { ReactElement } from "react";
import { Icon } from "../parts/icon";
import { say } from "../words/words";

export function Nobody({ away }: { away: boolean }): ReactElement {
  return (
    <main className="alone">
      <p className="mark">
        <Icon name="mark" /> <span>HealthSync</span>
      </p>
      {away ? (
        <>
          <h1>{say("away.title")}</h1>
          <p>{say("away.body")}</p>
        </>
      ) : (
        <>
          <h1>{say("nobody.title")}</h1>
          <p>{say("nobody.body")}</p>
          <p>
            <code>healthsync user invite NAME</code>
          </p>
          <p>{say("nobody.again")}</p>
        </>
      )}
    </main>
  );
}

/** What waits in this browser, where something does. */

import { type ReactElement, useSyncExternalStore } from "react";
import type { BrowserOutbox } from "../api/outbox";
import { say } from "../words/words";

export function OutboxState({ outbox }: { outbox: BrowserOutbox }): ReactElement | null {
  const { waiting, state, why } = useSyncExternalStore(outbox.watch, outbox.get);
  if (waiting === 0) return null;
  if (state === "denied") {
    return (
      <div className="failure" role="status">
        <p>{say("outbox.denied", { n: waiting, why })}</p>
        <button type="button" onClick={() => void outbox.enrolAgain()}>
          {say("outbox.again")}
        </button>
      </div>
    );
  }
  return (
    <p className="waiting" role="status">
      {say(state === "sending" ? "outbox.sending" : "outbox.waiting", { n: waiting })}
    </p>
  );
}

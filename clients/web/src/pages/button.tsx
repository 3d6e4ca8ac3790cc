/** One button, as large as the screen: for a watch with a browser, and for a hand that has no time. */

import { newId } from "@healthsync/client";
import { type ReactElement, useEffect, useState } from "react";
import type { BrowserOutbox } from "../api/outbox";
import { SOURCE } from "../model/entry";
import { isoHere } from "../model/times";
import { settings, useSettings } from "../settings";
import { nameOf, say } from "../words/words";

/** What one press can say, without a number to type. */
const SAYINGS: Record<string, Record<string, unknown>> = {
  hydration: { ml: 250 },
  caffeine: { mg: 80 },
  inhaler_usage: { puffs: 1 },
};

export function Button({ outbox }: { outbox: BrowserOutbox }): ReactElement {
  const { button } = useSettings();
  const type = button in SAYINGS ? button : "hydration";
  const [pressed, setPressed] = useState<string[]>([]);
  const [settled, setSettled] = useState(0);
  useEffect(
    () =>
      outbox.onResults((results) => {
        const mine = results.filter(({ id }) => pressed.includes(id)).length;
        if (mine > 0) setSettled((before) => before + mine);
      }),
    [outbox, pressed],
  );
  const press = async (): Promise<void> => {
    const [id, now] = [newId(), isoHere(Date.now())];
    const lasting = type === "caffeine" ? {} : { end_time: now };
    await outbox.add([{ id, type, source: SOURCE, start_time: now, ...lasting, value: SAYINGS[type] }]);
    setPressed((before) => [...before, id]);
    navigator.vibrate?.(30);
  };
  return (
    <main className="face">
      <a href="#/" aria-label={say("button.leave")}>
        ‹
      </a>
      <h1 className="unseen">{say("button.title")}</h1>
      <button type="button" onClick={() => void press()}>
        <b>{nameOf(type)}</b>
        <span aria-live="polite">
          {pressed.length === 0
            ? say("button.now")
            : `${pressed.length} ${say(settled >= pressed.length ? "button.saved" : "button.kept")}`}
        </span>
      </button>
      <label>
        <span className="unseen">{say("button.what")}</span>
        <select value={type} onChange={(event) => settings.set({ button: event.target.value })}>
          {Object.keys(SAYINGS).map((each) => (
            <option key={each} value={each}>
              {nameOf(each)}
            </option>
          ))}
        </select>
      </label>
    </main>
  );
}

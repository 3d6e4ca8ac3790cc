/** A measurement or a meal by hand: kept at once, sent when there is a network. */

import type { Result } from "@healthsync/client";
import { newId } from "@healthsync/client";
import { type FormEvent, type ReactElement, useEffect, useMemo, useState } from "react";
import { useAsked } from "../api/asked";
import type { BrowserOutbox } from "../api/outbox";
import { type Draft, entryOf, formOf, MEALS } from "../model/entry";
import { type EventType, inOrder } from "../model/catalogue";
import { unitOf } from "../model/units";
import { Failure } from "../parts/failure";
import { useHeart } from "../parts/heart";
import { clockTime } from "../saying";
import { useSettings } from "../settings";
import { nameOf, say, type Word } from "../words/words";

const QUICK = ["weight", "blood_pressure", "glucose", "body_temperature", "food", "hydration", "heart_rate", "spo2"];

interface Sent {
  id: string;
  text: string;
  at: number;
  result?: Result;
}

export function Add({ outbox, type }: { outbox: BrowserOutbox; type: string }): ReactElement {
  const catalogue = useAsked<{ types: EventType[] }>("/v1/catalogue");
  const [chosen, setChosen] = useState(type === "" ? "weight" : type);
  const [sent, setSent] = useState<readonly Sent[]>([]);
  const types = useMemo(
    () => new Map((catalogue.data?.types ?? []).map((each) => [each.name, each])),
    [catalogue.data],
  );
  const others = inOrder([...types.values()].filter((each) => formOf(each) !== null).map((each) => each.name));
  const of = types.get(chosen);
  useEffect(
    () =>
      outbox.onResults((results) =>
        setSent((before) =>
          before.map((each) => {
            const result = results.find(({ id }) => id === each.id);
            return result === undefined ? each : { ...each, result };
          }),
        ),
      ),
    [outbox],
  );
  return (
    <>
      <h1>{say("add.title")}</h1>
      <Failure error={catalogue.error} again={catalogue.again} />
      <div className="chips" role="group" aria-label={say("charts.type")}>
        {QUICK.map((each) => (
          <button key={each} type="button" aria-pressed={each === chosen} onClick={() => setChosen(each)}>
            {nameOf(each)}
          </button>
        ))}
        <label>
          <span className="unseen">{say("add.other")}</span>
          <select value={QUICK.includes(chosen) ? "" : chosen} onChange={(event) => setChosen(event.target.value)}>
            <option value="">{say("add.other")}</option>
            {others.map((each) => (
              <option key={each} value={each}>
                {nameOf(each)}
              </option>
            ))}
          </select>
        </label>
      </div>
      {of === undefined ? null : (
        <Entry
          key={of.name}
          of={of}
          save={async (draft) => {
            const id = newId();
            await outbox.add([{ id, ...entryOf(of, draft) }]);
            setSent((before) => [{ id, text: nameOf(of.name), at: Date.now() }, ...before].slice(0, 20));
          }}
        />
      )}
      {sent.length === 0 ? null : (
        <ul className="rows" aria-live="polite" aria-label={say("add.sent")}>
          {sent.map((each) => (
            <li key={each.id}>
              <time>{clockTime(each.at)}</time>
              <b>{each.text}</b>
              <span>{fateOf(each.result)}</span>
            </li>
          ))}
        </ul>
      )}
      <Strap outbox={outbox} />
    </>
  );
}

/** A strap, where the browser can read one: connected until the page is left. */
function Strap({ outbox }: { outbox: BrowserOutbox }): ReactElement | null {
  const heart = useHeart(outbox);
  if (!heart.possible) return null;
  return (
    <section>
      <h2>{say("heart.title")}</h2>
      <p>{say("heart.lead")}</p>
      <Failure error={heart.error} again={() => void heart.connect()} />
      <p aria-live="polite">
        {heart.bpm === null ? null : <b>{heart.bpm} /min </b>}
        {heart.state === "gone" ? <span>{say("heart.gone")} </span> : null}
        {heart.state === "connected" && heart.bpm === null ? <span>{say("heart.waiting")} </span> : null}
        <button type="button" onClick={() => (heart.state === "connected" ? heart.stop() : void heart.connect())}>
          {say(heart.state === "connected" ? "heart.stop" : "heart.connect")}
        </button>
      </p>
    </section>
  );
}

function fateOf(result: Result | undefined): string {
  if (result === undefined) return say("add.waiting");
  if (result.fate === "rejected") return say("add.rejected", { why: result.message ?? result.reason ?? "" });
  return say("add.stored");
}

function Entry({ of, save }: { of: EventType; save: (draft: Draft) => Promise<void> }): ReactElement {
  const units = useSettings();
  const form = formOf(of);
  const [numbers, setNumbers] = useState<Record<string, string>>({});
  const [items, setItems] = useState([{ name: "", energy_kcal: "" }]);
  const [meal, setMeal] = useState(MEALS[0] ?? "");
  const [when, setWhen] = useState("");
  const [minutes, setMinutes] = useState("");
  const [error, setError] = useState<unknown>();
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    setError(undefined);
    const stored = Object.fromEntries(
      Object.entries(numbers)
        .filter(([, text]) => text.trim() !== "")
        .map(([name, text]) => {
          const ucum = of.fields.find((each) => each.name === name)?.unit ?? "";
          return [name, rounded(unitOf(ucum, units).stored(Number(text.replace(",", "."))))];
        }),
    );
    const told = items.filter(({ name }) => name.trim() !== "");
    const at = when === "" ? Date.now() : new Date(when).getTime();
    save({ numbers: stored, items: told, meal, at, minutes: Number(minutes) || 0 }).then(() => {
      setNumbers({});
      setItems([{ name: "", energy_kcal: "" }]);
      setWhen("");
      setMinutes("");
    }, setError);
  };
  return (
    <form className="entry" onSubmit={submit}>
      {of.name === "food" ? (
        <>
          <label className="field">
            <span>{say("add.meal")}</span>
            <select value={meal} onChange={(event) => setMeal(event.target.value)}>
              {MEALS.map((each) => (
                <option key={each} value={each}>
                  {say(`meal.${each}` as Word)}
                </option>
              ))}
            </select>
          </label>
          {items.map((item, place) => (
            <div key={place} className="pair">
              <label className="field">
                <span>{say("add.item")}</span>
                <input
                  value={item.name}
                  required={place === 0}
                  maxLength={200}
                  onChange={(event) => setItems(changed(items, place, { ...item, name: event.target.value }))}
                />
              </label>
              <label className="field">
                <span>kcal</span>
                <input
                  inputMode="decimal"
                  value={item.energy_kcal}
                  onChange={(event) => setItems(changed(items, place, { ...item, energy_kcal: event.target.value }))}
                />
              </label>
            </div>
          ))}
          <button type="button" onClick={() => setItems([...items, { name: "", energy_kcal: "" }])}>
            {say("add.item.more")}
          </button>
        </>
      ) : (
        <div className="numbers">
          {(form?.fields ?? []).map(({ field, required }, place) => {
            const unit = unitOf(field.unit, units);
            return (
              <label key={field.name} className="field">
                <span>
                  {(form?.fields.length ?? 0) === 1 ? nameOf(of.name) : nameOf(field.name)} {unit.label}
                </span>
                <input
                  className={place === 0 ? "large" : ""}
                  inputMode="decimal"
                  pattern="-?[0-9]+([.,][0-9]+)?"
                  value={numbers[field.name] ?? ""}
                  required={required}
                  autoComplete="off"
                  onChange={(event) => setNumbers({ ...numbers, [field.name]: event.target.value })}
                />
              </label>
            );
          })}
        </div>
      )}
      <div className="pair">
        <label className="field">
          <span>{say("add.when")}</span>
          <input type="datetime-local" value={when} onChange={(event) => setWhen(event.target.value)} />
        </label>
        {form?.lasts === true ? (
          <label className="field">
            <span>{say("add.minutes")}</span>
            <input inputMode="numeric" value={minutes} onChange={(event) => setMinutes(event.target.value)} required />
          </label>
        ) : null}
      </div>
      <Failure error={error} />
      <button type="submit" className="primary">
        {say("add.save")}
      </button>
    </form>
  );
}

function changed<T>(list: readonly T[], place: number, to: T): T[] {
  return list.map((each, at) => (at === place ? to : each));
}

function rounded(number: number): number {
  return Math.round(number * 1e4) / 1e4;
}

/** What may be done with a person's data, and who may see it: granted and taken back here, with all that was ever said. */

import type { Carer, ConsentDecisionLine } from "@healthsync/client";
import { type FormEvent, type ReactElement, useState } from "react";
import { type Asked, useAsked } from "../api/asked";
import { ask } from "../api/http";
import { type EventType, inOrder } from "../model/catalogue";
import { grantedTo, PURPOSES, type ConsentLine, type Purpose } from "../model/consent";
import { DAY_MS, dateOf, iso, spanOf } from "../model/times";
import { Ask } from "../parts/ask";
import { Failure } from "../parts/failure";
import { dateAndTime, fullDate } from "../saying";
import { nameOf, say, type Word } from "../words/words";

export function Sharing({ user }: { user: string }): ReactElement {
  const base = `/v1/users/${encodeURIComponent(user)}`;
  const catalogue = useAsked<{ types: EventType[] }>("/v1/catalogue");
  return (
    <>
      <h1>{say("sharing.title")}</h1>
      <Consents base={base} types={catalogue.data?.types ?? []} />
      <Carers base={base} types={catalogue.data?.types ?? []} />
    </>
  );
}

function Consents({ base, types }: { base: string; types: readonly EventType[] }): ReactElement {
  const standing = useAsked<{ consents: ConsentLine[] }>(`${base}/consents`);
  const history = useAsked<{ decisions: ConsentDecisionLine[] }>(`${base}/consents/history?limit=1000`);
  const [error, setError] = useState<unknown>();
  const decide = async (action: "grant" | "withdraw", purpose: Purpose, names: string[]): Promise<void> => {
    setError(undefined);
    await ask(`${base}/consents`, { method: "POST", body: { action, types: names, purposes: [purpose] } }).catch(
      setError,
    );
    standing.again();
    history.again();
  };
  const granted = grantedTo(standing.data?.consents ?? []);
  const decisions = [...(history.data?.decisions ?? [])].reverse();
  return (
    <section>
      <h2>{say("consent.title")}</h2>
      <p className="lead">{say("consent.lead")}</p>
      <Failure error={error ?? standing.error} again={standing.again} />
      {standing.data === undefined ? null : (
        <div className="purposes">
          {PURPOSES.map((purpose) => (
            <PurposeCard key={purpose} purpose={purpose} granted={granted[purpose]} types={types} decide={decide} />
          ))}
        </div>
      )}
      <details>
        <summary>{say("consent.history", { n: decisions.length })}</summary>
        <ol className="rows">
          {decisions.map((each, place) => (
            <li key={`${each.at} ${place}`}>
              <time>{dateAndTime(Date.parse(each.at))}</time>
              <b>
                {say(each.action === "grant" ? "consent.granted" : "consent.withdrawn")}:{" "}
                {say(`purpose.${each.purpose}` as Word)}
              </b>
              <span>{each.types.map(typeName).join(", ")}</span>
            </li>
          ))}
        </ol>
      </details>
    </section>
  );
}

interface CardParts {
  purpose: Purpose;
  granted: ReadonlySet<string>;
  types: readonly EventType[];
  decide: (action: "grant" | "withdraw", purpose: Purpose, names: string[]) => Promise<void>;
}

function PurposeCard({ purpose, granted, types, decide }: CardParts): ReactElement {
  const all = granted.has("all");
  const named = inOrder([...granted].filter((each) => each !== "all"));
  const left = inOrder(types.map((each) => each.name).filter((each) => !granted.has(each)));
  const title = say(`purpose.${purpose}` as Word);
  return (
    <section className="card" aria-label={title}>
      <label className="switch">
        <input
          type="checkbox"
          role="switch"
          checked={all}
          onChange={() => void decide(all ? "withdraw" : "grant", purpose, ["all"])}
        />
        <span className="knob" aria-hidden="true" />
        <span>
          <b>{title}</b>
          <small>{say(`purpose.${purpose}.what` as Word)}</small>
        </span>
      </label>
      {named.length === 0 ? null : (
        <ul className="tags">
          {named.map((each) => (
            <li key={each}>
              {nameOf(each)}
              <button
                type="button"
                aria-label={say("consent.take", { type: nameOf(each) })}
                onClick={() => void decide("withdraw", purpose, [each])}
              >
                ×
              </button>
            </li>
          ))}
        </ul>
      )}
      <label className="field">
        <span>{say(all ? "consent.named.more" : "consent.named")}</span>
        <select value="" onChange={(event) => void decide("grant", purpose, [event.target.value])}>
          <option value="" />
          {left.map((each) => (
            <option key={each} value={each}>
              {nameOf(each)}
            </option>
          ))}
        </select>
      </label>
    </section>
  );
}

function typeName(type: string): string {
  return type === "all" || type === "*" ? say("consent.all") : nameOf(type);
}

function Carers({ base, types }: { base: string; types: readonly EventType[] }): ReactElement {
  const carers: Asked<{ carers: Carer[] }> = useAsked(`${base}/carers`);
  const [error, setError] = useState<unknown>();
  const act = async (carer: string, grant?: { types: string[]; until: string }): Promise<boolean> => {
    setError(undefined);
    const path = `${base}/carers/${encodeURIComponent(carer)}`;
    try {
      await ask(path, grant === undefined ? { method: "DELETE" } : { method: "PUT", body: grant });
      carers.again();
      return true;
    } catch (failed) {
      setError(failed);
      return false;
    }
  };
  return (
    <section>
      <h2>{say("carers.title")}</h2>
      <p className="lead">{say("carers.lead")}</p>
      <Failure error={error ?? carers.error} again={carers.again} />
      <ul className="rows wide">
        {(carers.data?.carers ?? []).map((each) => (
          <li key={each.carer}>
            <b>{each.carer}</b>
            <span>
              {each.types.map(typeName).join(", ")} · {say("carers.until", { when: fullDate(Date.parse(each.until)) })}
            </span>
            <span className="acts">
              <Ask
                label={say("carers.remove")}
                question={say("carers.remove.sure", { name: each.carer })}
                yes={() => act(each.carer)}
              />
            </span>
          </li>
        ))}
      </ul>
      <NewCarer types={types} grant={act} />
    </section>
  );
}

interface NewCarerParts {
  types: readonly EventType[];
  grant: (carer: string, grant: { types: string[]; until: string }) => Promise<boolean>;
}

function NewCarer({ types, grant }: NewCarerParts): ReactElement {
  const [name, setName] = useState("");
  const [type, setType] = useState("*");
  const [until, setUntil] = useState(() => dateOf(Date.now() + 90 * DAY_MS));
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    const end = spanOf(until)?.until ?? Date.now();
    void grant(name.trim(), { types: [type], until: iso(end) }).then((done) => {
      if (done) setName("");
    });
  };
  return (
    <form className="inline-form" onSubmit={submit}>
      <label className="field">
        <span>{say("carers.who")}</span>
        <input
          value={name}
          onChange={(event) => setName(event.target.value)}
          required
          autoComplete="off"
          maxLength={64}
        />
      </label>
      <label className="field">
        <span>{say("carers.what")}</span>
        <select value={type} onChange={(event) => setType(event.target.value)}>
          <option value="*">{say("consent.all")}</option>
          {inOrder(types.map((each) => each.name)).map((each) => (
            <option key={each} value={each}>
              {nameOf(each)}
            </option>
          ))}
        </select>
      </label>
      <label className="field">
        <span>{say("carers.till")}</span>
        <input
          type="date"
          value={until}
          min={dateOf(Date.now())}
          onChange={(event) => setUntil(event.target.value)}
          required
        />
      </label>
      <button type="submit" className="primary">
        {say("carers.add")}
      </button>
    </form>
  );
}

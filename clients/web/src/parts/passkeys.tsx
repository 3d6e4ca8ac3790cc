/** The passkeys of who is signed in: seen, added with a name, and removed. */

import type { Passkeys as Listed } from "@healthsync/client";
import { type FormEvent, type ReactElement, useState } from "react";
import { useAsked } from "../api/asked";
import { ask } from "../api/http";
import { addPasskey, PASSKEYS, possibleHere } from "../api/passkeys";
import { useWays } from "../api/ways";
import { fullDate, howLongAgo } from "../saying";
import { say } from "../words/words";
import { Ask } from "./ask";
import { Failure } from "./failure";

const LONGEST_NAME = 64;

export function Passkeys(): ReactElement {
  const ways = useWays();
  const listed = useAsked<Listed>(PASSKEYS);
  const [error, setError] = useState<unknown>();
  const [name, setName] = useState("");
  const [unmade, setUnmade] = useState(false);
  const act = async (work: () => Promise<void>): Promise<void> => {
    setError(undefined);
    setUnmade(false);
    await work().catch(setError);
    listed.again();
  };
  const add = (event: FormEvent): void => {
    event.preventDefault();
    void act(async () => {
      const made = await addPasskey(name.trim());
      setUnmade(!made);
      if (made) setName("");
    });
  };
  const remove = (passkey: string): Promise<void> =>
    act(async () => void (await ask(`${PASSKEYS}/${encodeURIComponent(passkey)}`, { method: "DELETE" })));
  const origin = ways.data?.passkeys;
  const known = listed.data?.passkeys ?? [];
  return (
    <section id="passkeys">
      <h2>{say("passkeys.title")}</h2>
      <p className="lead">{say("passkeys.lead")}</p>
      <Failure error={error ?? listed.error ?? ways.error} again={listed.again} />
      <ul className="rows wide">
        {known.map(({ id, name: title, created_at, used_at }) => (
          <li key={id}>
            <b>{title}</b>
            <span>
              {say("passkeys.added", { when: fullDate(Date.parse(created_at)) })} ·{" "}
              {used_at === null
                ? say("passkeys.never")
                : say("passkeys.used", { when: howLongAgo(Date.parse(used_at)) })}
            </span>
            <span className="acts">
              <Ask
                label={say("passkeys.remove")}
                question={say("passkeys.remove.sure", { name: title })}
                yes={() => remove(id)}
              />
            </span>
          </li>
        ))}
      </ul>
      {listed.data !== undefined && known.length === 0 && origin != null ? (
        <p className="quiet">{say("passkeys.none")}</p>
      ) : null}
      {ways.data === undefined ? null : possibleHere(origin) ? (
        <form className="inline-form" onSubmit={add}>
          <label className="field">
            <span>{say("passkeys.new")}</span>
            <input
              value={name}
              onChange={(event) => setName(event.target.value)}
              placeholder={say("passkeys.example")}
              pattern=".*\S.*"
              maxLength={LONGEST_NAME}
              required
              autoComplete="off"
            />
          </label>
          <button type="submit" className="primary">
            {say("passkeys.add")}
          </button>
        </form>
      ) : (
        <p className="quiet">{whyNot(origin)}</p>
      )}
      {unmade ? <p role="status">{say("passkeys.not_made")}</p> : null}
    </section>
  );
}

function whyNot(origin: string | null | undefined): string {
  if (origin == null) return say("passkeys.impossible");
  return origin === location.origin ? say("passkeys.cannot") : say("passkeys.elsewhere", { origin });
}

/** The end of all of it: everything of a person is deleted, after the name was typed. */

import { type FormEvent, type ReactElement, useState } from "react";
import { ask } from "../api/http";
import { session } from "../api/session";
import { say } from "../words/words";
import { Failure } from "./failure";

export function Erasure({ user }: { user: string }): ReactElement {
  const [typed, setTyped] = useState("");
  const [error, setError] = useState<unknown>();
  const erase = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setError(undefined);
    try {
      await ask(`/v1/users/${encodeURIComponent(user)}/erasure`, { method: "POST", body: { confirm: typed } });
      await session.over();
    } catch (failed) {
      setError(failed);
    }
  };
  return (
    <section>
      <h2>{say("erase.title")}</h2>
      <p className="lead">{say("erase.lead")}</p>
      <Failure error={error} />
      <form className="inline-form" onSubmit={(event) => void erase(event)}>
        <label className="field">
          <span>{say("erase.type", { name: user })}</span>
          <input value={typed} onChange={(event) => setTyped(event.target.value)} autoComplete="off" />
        </label>
        <button type="submit" className="danger" disabled={typed !== user}>
          {say("erase.do")}
        </button>
      </form>
    </section>
  );
}

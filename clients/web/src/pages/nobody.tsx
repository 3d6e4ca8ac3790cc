/** The page of who is not signed in: how one comes in. */

import { type ReactElement, useState } from "react";
import { Refusal } from "../api/http";
import { goThere } from "../api/organisation";
import { possibleHere, signIn } from "../api/passkeys";
import { useWays } from "../api/ways";
import { Failure } from "../parts/failure";
import { Icon } from "../parts/icon";
import { say, type Word } from "../words/words";

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
          <Ways />
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

/** Whatever works without a link. */
function Ways(): ReactElement | null {
  const ways = useWays().data;
  const [error, setError] = useState<unknown>();
  const [told, setTold] = useState<Word>();
  const [busy, setBusy] = useState(false);
  const passkeys = possibleHere(ways?.passkeys);
  const title = ways?.organisation;
  if (!passkeys && title == null) return null;
  const begin = async (work: () => Promise<boolean>): Promise<void> => {
    setBusy(true);
    setError(undefined);
    setTold(undefined);
    try {
      if (!(await work())) setTold("nobody.passkey.none");
    } catch (failed) {
      if (failed instanceof Refusal && failed.status === 401) setTold("nobody.passkey.refused");
      else setError(failed);
    }
    setBusy(false);
  };
  return (
    <>
      <Failure error={error} />
      <p className="ways">
        {passkeys ? (
          <button type="button" className="primary" disabled={busy} onClick={() => void begin(signIn)}>
            {say("nobody.passkey")}
          </button>
        ) : null}
        {title == null ? null : (
          <button
            type="button"
            className={passkeys ? "" : "primary"}
            disabled={busy}
            onClick={() => void begin(() => goThere().then(() => true))}
          >
            {say("nobody.organisation", { title })}
          </button>
        )}
      </p>
      {told === undefined ? null : <p role="alert">{say(told)}</p>}
      <h2>{say("nobody.first")}</h2>
    </>
  );
}

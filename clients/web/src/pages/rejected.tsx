/** For an admin: what was refused, why, and the way back in after the cause is mended. */

import type { RejectedPage, Replayed } from "@healthsync/client";
import { type ReactElement, useState } from "react";
import { useAsked } from "../api/asked";
import { ask } from "../api/http";
import { Failure } from "../parts/failure";
import { dateAndTime } from "../saying";
import { say } from "../words/words";

export function Rejected(): ReactElement {
  const [after, setAfter] = useState<readonly number[]>([0]);
  const listed = useAsked<RejectedPage>(`/v1/rejected?order=desc&limit=50&cursor=${after.at(-1)}`);
  const [tried, setTried] = useState<ReadonlyMap<number, string>>(new Map());
  const [error, setError] = useState<unknown>();
  const replay = async (number: number): Promise<void> => {
    setError(undefined);
    try {
      const { outcome, reason } = await ask<Replayed>(`/v1/rejected/${number}/replay`, { method: "POST" });
      const said = `${outcome ?? ""} ${reason ?? ""}`.trim();
      setTried((before) => new Map(before).set(number, said === "" ? say("rejected.tried") : said));
    } catch (failed) {
      setError(failed);
    }
  };
  const rows = listed.data?.rejected ?? [];
  return (
    <>
      <h1>{say("rejected.title")}</h1>
      <p className="lead">{say("rejected.lead")}</p>
      <Failure error={error ?? listed.error} again={listed.again} />
      {listed.data !== undefined && rows.length === 0 ? <p className="quiet">{say("rejected.none")}</p> : null}
      <ul className="rows wide">
        {rows.map((each) => (
          <li key={each.number}>
            <b>
              {each.reason}
              {each.count > 1 ? ` × ${each.count}` : ""}
            </b>
            <span>
              {each.message} · {each.user_id}
              {each.device_id === null ? "" : `/${each.device_id}`} · {dateAndTime(Date.parse(each.last_received_at))}
            </span>
            <span className="acts">
              {tried.get(each.number) ?? (
                <button type="button" className="small" onClick={() => void replay(each.number)}>
                  {say("rejected.replay")}
                </button>
              )}
            </span>
          </li>
        ))}
      </ul>
      <Pages after={after} next={listed.data?.next ?? null} turn={setAfter} />
    </>
  );
}

interface PagesParts {
  after: readonly number[];
  next: number | null;
  turn: (after: readonly number[]) => void;
}

/** Back and on in a list that is told page by page. */
export function Pages({ after, next, turn }: PagesParts): ReactElement | null {
  if (after.length === 1 && next === null) return null;
  return (
    <nav className="acts" aria-label={say("pages.label")}>
      <button type="button" disabled={after.length === 1} onClick={() => turn(after.slice(0, -1))}>
        {say("pages.back")}
      </button>
      <button type="button" disabled={next === null} onClick={() => next !== null && turn([...after, next])}>
        {say("pages.on")}
      </button>
    </nav>
  );
}

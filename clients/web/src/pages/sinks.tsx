/** For an admin: where events are shipped to, how each place does, and whether it is shipped to. */

import type { Sink, SinkPage } from "@healthsync/client";
import { type ReactElement, useState } from "react";
import { useLooked } from "../api/looked";
import { ask } from "../api/http";
import type { Status } from "../model/service";
import { Failure } from "../parts/failure";
import { decimal } from "../saying";
import { say } from "../words/words";

const EVERY_MS = 3_000;

export function Sinks(): ReactElement {
  const listed = useLooked<SinkPage>("/v1/sinks?limit=1000", EVERY_MS);
  const status = useLooked<Status>("/v1/status", EVERY_MS);
  const [error, setError] = useState<unknown>();
  const turn = async ({ sink, paused }: Sink): Promise<void> => {
    setError(undefined);
    const path = `/v1/sinks/${encodeURIComponent(sink)}/${paused ? "resume" : "suspend"}`;
    await ask(path, { method: "POST" }).catch(setError);
    listed.again();
    status.again();
  };
  const sinks = listed.data?.sinks ?? [];
  return (
    <>
      <h1>{say("sinks.title")}</h1>
      <p className="lead">{say("sinks.lead")}</p>
      <Failure error={error ?? listed.error} again={listed.again} />
      {listed.data !== undefined && sinks.length === 0 ? (
        <p className="quiet">
          {say("sinks.none")} <code>healthsync sink add</code>
        </p>
      ) : null}
      <ul className="rows wide">
        {sinks.map((each) => {
          const now = status.data?.sinks?.find(({ sink }) => sink === each.sink);
          const said = [each.kind, each.paused ? say("devices.suspended") : now?.state];
          if (typeof now?.lag === "number") said.push(`${decimal(now.lag, 0)} ${say("status.behind")}`);
          said.push(now?.error ?? undefined);
          return (
            <li key={each.sink}>
              <b>{each.sink}</b>
              <span>{said.filter((part) => part !== undefined).join(" · ")}</span>
              <span className="acts">
                <button type="button" className="small" onClick={() => void turn(each)}>
                  {say(each.paused ? "devices.resume" : "devices.suspend")}
                </button>
              </span>
            </li>
          );
        })}
      </ul>
    </>
  );
}

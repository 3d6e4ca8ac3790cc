/** For an admin: which clouds people can connect here, what is missing where not, and how their links do. */

import type { AdapterLine, Adapters as Listed } from "@healthsync/client";
import type { ReactElement } from "react";
import { useLooked } from "../api/looked";
import { Failure } from "../parts/failure";
import { nameOf, say, type Word } from "../words/words";

const EVERY_MS = 15_000;

export function Adapters(): ReactElement {
  const asked = useLooked<Listed>("/v1/adapters", EVERY_MS);
  return (
    <>
      <h1>{say("adapters.title")}</h1>
      <p className="lead">{say("adapters.lead")}</p>
      <Failure error={asked.error} again={asked.again} />
      <ul className="rows wide">
        {(asked.data?.adapters ?? []).map((each) => (
          <li key={each.provider}>
            <b>{each.title}</b>
            <span>
              {standOf(each)}
              {each.hint === "" ? null : (
                <>
                  <br />
                  {each.hint}
                </>
              )}
            </span>
            <span className="quiet">{each.types.slice(0, 5).map(nameOf).join(", ")}</span>
          </li>
        ))}
      </ul>
    </>
  );
}

function standOf(line: AdapterLine): string {
  const links = Object.entries(line.links).map(([state, n]) => `${n} × ${say(`cloud.${state}` as Word)}`);
  return [say(`adapter.${line.state}` as Word), ...links].join(" · ");
}

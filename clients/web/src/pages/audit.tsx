/** For an admin: what was done, by whom, and whether anybody changed what is written of it. */

import type { AuditFinding, AuditPage } from "@healthsync/client";
import { type ReactElement, useState } from "react";
import { useAsked } from "../api/asked";
import { Failure } from "../parts/failure";
import { dateAndTime } from "../saying";
import { say } from "../words/words";
import { Pages } from "./rejected";

export function Audit(): ReactElement {
  const [after, setAfter] = useState<readonly number[]>([0]);
  const listed = useAsked<AuditPage>(`/v1/audit?order=desc&limit=100&cursor=${after.at(-1)}`);
  const found = useAsked<AuditFinding>("/v1/audit/verification");
  return (
    <>
      <h1>{say("audit.title")}</h1>
      <p className="lead" role="status">
        {found.data === undefined
          ? say("app.loading")
          : found.data.ok
            ? say("audit.whole", { n: found.data.rows })
            : say("audit.broken", { n: found.data.first_bad ?? 0 })}
      </p>
      <Failure error={listed.error ?? found.error} again={listed.again} />
      <ul className="rows wide">
        {(listed.data?.audit ?? []).map((each) => (
          <li key={each.no}>
            <b>{each.action}</b>
            <span>{[each.actor, each.subject?.slice(0, 12), detailOf(each.detail)].filter(Boolean).join(" · ")}</span>
            <time>{dateAndTime(Date.parse(each.at))}</time>
          </li>
        ))}
      </ul>
      <Pages after={after} next={listed.data?.next ?? null} turn={setAfter} />
    </>
  );
}

function detailOf(detail: Record<string, unknown>): string {
  return Object.entries(detail)
    .map(([name, value]) => `${name} ${Array.isArray(value) ? value.join(", ") : String(value)}`)
    .join(" · ");
}

/** What was found of the days before a day, in its own words: none of it is a diagnosis. */

import type { Insight, InsightPage } from "@healthsync/client";
import type { ReactElement } from "react";
import { useAsked } from "../api/asked";
import { daysAfter, spanOf } from "../model/times";
import { decimal, shortDate } from "../saying";
import { nameOf, say } from "../words/words";

const DAYS = 7;

export function Insights({ user, date }: { user: string; date: string }): ReactElement | null {
  const within = `since=${daysAfter(date, 1 - DAYS)}&until=${date}`;
  const asked = useAsked<InsightPage>(`/v1/users/${encodeURIComponent(user)}/insights?${within}&order=desc&limit=20`);
  const found = asked.data?.insights ?? [];
  if (found.length === 0) return null;
  const report = found.find(({ kind }) => kind === "report");
  const others = found.filter(({ kind }) => kind !== "report");
  return (
    <section aria-label={say("insights.title")}>
      <h2>{say("insights.title")}</h2>
      {report === undefined ? null : (
        <figure className="card report">
          {report.sentence.split("\n").map((line, place) => (
            <p key={place}>{line}</p>
          ))}
          <figcaption className="quiet">{say("insights.phrased", { day: dayOf(report) })}</figcaption>
        </figure>
      )}
      <ul className="rows">
        {others.map((each) => (
          <li key={each.id}>
            <time dateTime={each.day}>{dayOf(each)}</time>
            <b>{each.sentence}</b>
            <span>
              {say("insights.rests_on", {
                types: each.rests_on.types.map(nameOf).join(", "),
                days: each.rests_on.days,
                n: decimal(each.rests_on.readings, 0),
              })}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function dayOf(insight: Insight): string {
  return shortDate(spanOf(insight.day)?.since ?? 0);
}

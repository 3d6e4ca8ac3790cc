/** For an admin: how the service does, in one sentence and as boxes that the values pass through. */

import { type ReactElement, useEffect, useRef, useState } from "react";
import { useLooked } from "../api/looked";
import { type Rates, ratesOf, type Status, type Trouble, troublesOf } from "../model/service";
import { Failure } from "../parts/failure";
import { decimal, fullDate, lengthOfTime } from "../saying";
import { say } from "../words/words";

const EVERY_MS = 2_000;

export function Overview(): ReactElement {
  const { data, error, again } = useLooked<Status>("/v1/status", EVERY_MS);
  const rates = useRates(data);
  if (data === undefined) {
    return error === undefined ? (
      <p className="quiet">{say("app.loading")}</p>
    ) : (
      <>
        <h1>{say("status.title")}</h1>
        <Failure error={error} again={again} />
      </>
    );
  }
  const troubles = troublesOf(data, Date.now() / 1000);
  return (
    <>
      <h1>{troubles.length === 0 ? say("status.good") : say("status.bad")}</h1>
      <p className="lead" role="status">
        {troubles.length === 0
          ? say("status.good.more", {
              n: decimal(data.totals.events, 0),
              users: data.totals.users,
              time: lengthOfTime(data.uptime_s ?? 0),
            })
          : troubles.map(troubleOf).join(" ")}
      </p>
      <Failure error={error} again={again} />
      <ol className="pipeline" aria-label={say("status.pipeline")}>
        <Box title={say("status.devices")} number={decimal(data.connections ?? 0, 0)} note={say("status.connected")} />
        <Box title={say("status.received")} number={perSecond(rates?.received)} note={say("status.per_second")} />
        <Box
          title={say("status.rejected")}
          number={perSecond(rates?.rejected)}
          note={say("status.rejected.all", { n: decimal(data.totals.rejected, 0) })}
          href="#/rejected"
        />
        <Box
          title={say("status.log")}
          number={decimal(data.totals.events, 0)}
          note={say("status.stored", { n: perSecond(rates?.stored) })}
        />
        <Box title={say("status.readers")} number={decimal(data.subscriber_lag ?? 0, 0)} note={say("status.behind")} />
        {(data.sinks ?? []).map((each) => (
          <Box
            key={each.sink}
            title={each.sink}
            number={decimal(each.lag ?? 0, 0)}
            note={`${say("status.behind")}${each.state === undefined ? "" : ` · ${each.state}`}`}
          />
        ))}
      </ol>
      <p className="quiet">
        {typeof data.certificates?.server === "number"
          ? say("status.certificate", { when: fullDate(data.certificates.server * 1000) })
          : ""}{" "}
        {say("status.version", { version: data.version })}
      </p>
    </>
  );
}

function useRates(status: Status | undefined): Rates | null {
  const before = useRef<{ status: Status; at: number } | undefined>(undefined);
  const [rates, setRates] = useState<Rates | null>(null);
  useEffect(() => {
    if (status === undefined || before.current?.status === status) return;
    const at = performance.now();
    setRates(ratesOf(before.current?.status, status, (at - (before.current?.at ?? at)) / 1000));
    before.current = { status, at };
  }, [status]);
  return rates;
}

function perSecond(rate: number | undefined): string {
  return rate === undefined ? "–" : decimal(rate, rate < 10 && rate > 0 ? 1 : 0);
}

function troubleOf(trouble: Trouble): string {
  switch (trouble.what) {
    case "task":
    case "sink":
      return say(`trouble.${trouble.what}`, { name: trouble.name });
    case "certificate":
      return say("trouble.certificate", { n: trouble.days });
    default:
      return say(`trouble.${trouble.what}`);
  }
}

function Box({
  title,
  number,
  note,
  href,
}: {
  title: string;
  number: string;
  note: string;
  href?: string;
}): ReactElement {
  const inner = (
    <>
      <span className="name">{title}</span>
      <span className="number">{number}</span>
      <span className="note">{note}</span>
    </>
  );
  return <li>{href === undefined ? <div>{inner}</div> : <a href={href}>{inner}</a>}</li>;
}

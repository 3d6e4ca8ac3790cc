/** Clouds that a person's data is fetched from: begun by agreeing there, seen, and ended here. */

import type { LinkDescription, LinkInvitation, Links } from "@healthsync/client";
import { type ReactElement, useState } from "react";
import { useLooked } from "../api/looked";
import { ask } from "../api/http";
import { dateAndTime, howLongAgo } from "../saying";
import { nameOf, say, type Word } from "../words/words";
import { Ask } from "./ask";
import { Failure } from "./failure";

const EVERY_MS = 15_000;

export function Clouds({ user }: { user: string }): ReactElement {
  const base = `/v1/users/${encodeURIComponent(user)}/links`;
  const asked = useLooked<Links>(base, EVERY_MS);
  const [invited, setInvited] = useState<LinkInvitation>();
  const [error, setError] = useState<unknown>();
  const act = async (work: () => Promise<void>): Promise<void> => {
    setError(undefined);
    await work().catch(setError);
    asked.again();
  };
  const connect = (provider: string): Promise<void> =>
    act(async () => setInvited(await ask<LinkInvitation>(base, { method: "POST", body: { provider } })));
  const leave = (provider: string): Promise<void> =>
    act(async () => void (await ask(`${base}/${encodeURIComponent(provider)}`, { method: "DELETE" })));
  const links = asked.data?.links ?? [];
  const clouds = asked.data?.clouds ?? [];
  const titleOf = (provider: string): string => clouds.find((each) => each.provider === provider)?.title ?? provider;
  const free = clouds.filter(({ provider }) => !links.some((link) => link.provider === provider));
  return (
    <section id="clouds">
      <h2>{say("clouds.title")}</h2>
      <p className="lead">{say("clouds.lead")}</p>
      <Failure error={error ?? asked.error} again={asked.again} />
      {invited === undefined ? null : (
        <section className="card" aria-label={titleOf(invited.provider)}>
          <p>{say("clouds.agree.lead", { title: titleOf(invited.provider) })}</p>
          <p className="quiet">{say("clouds.agree.until", { when: dateAndTime(Date.parse(invited.expires_at)) })}</p>
          <a className="button primary" href={invited.url} rel="noreferrer">
            {say("clouds.agree", { title: titleOf(invited.provider) })}
          </a>{" "}
          <button type="button" onClick={() => setInvited(undefined)}>
            {say("clouds.later")}
          </button>
        </section>
      )}
      <ul className="rows wide">
        {links.map((link) => (
          <li key={link.provider}>
            <b>{titleOf(link.provider)}</b>
            <span>{standOf(link)}</span>
            <span className="acts">
              {link.state === "needs_reauth" ? (
                <button type="button" className="small" onClick={() => void connect(link.provider)}>
                  {say("clouds.again")}
                </button>
              ) : null}
              <Ask
                label={say("clouds.leave")}
                question={say("clouds.leave.sure", { title: titleOf(link.provider) })}
                yes={() => leave(link.provider)}
              />
            </span>
          </li>
        ))}
        {free.map((cloud) => (
          <li key={cloud.provider}>
            <b>{cloud.title}</b>
            <span>{cloud.types.slice(0, 6).map(nameOf).join(", ")}</span>
            <span className="acts">
              <button type="button" className="small" onClick={() => void connect(cloud.provider)}>
                {say("clouds.connect", { title: cloud.title })}
              </button>
            </span>
          </li>
        ))}
      </ul>
      {asked.data !== undefined && clouds.length === 0 ? <p className="quiet">{say("clouds.none")}</p> : null}
    </section>
  );
}

function standOf(link: LinkDescription): string {
  const said = [say(`cloud.${link.state}` as Word)];
  if (link.synced_at !== null) said.push(say("clouds.synced", { when: howLongAgo(Date.parse(link.synced_at)) }));
  if (link.hint !== "") said.push(link.hint);
  return said.join(" · ");
}

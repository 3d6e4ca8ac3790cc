/** For an admin: who is registered, a link for each, and the end of one. */

import type { UserDescription, UserPage } from "@healthsync/client";
import { type FormEvent, type ReactElement, useState } from "react";
import { useAsked } from "../api/asked";
import { ask } from "../api/http";
import { Ask } from "../parts/ask";
import { Failure } from "../parts/failure";
import { NameField } from "../parts/name_field";
import { fullDate } from "../saying";
import { say } from "../words/words";

export function Users(): ReactElement {
  const listed = useAsked<UserPage>("/v1/users?limit=1000");
  const [link, setLink] = useState<{ name: string; url: string }>();
  const [error, setError] = useState<unknown>();
  const act = async (path: string, method: "POST" | "DELETE", body?: unknown): Promise<unknown> => {
    setError(undefined);
    try {
      return await ask(path, body === undefined ? { method } : { method, body });
    } catch (failed) {
      setError(failed);
      return undefined;
    } finally {
      listed.again();
    }
  };
  const path = (user: string): string => `/v1/users/${encodeURIComponent(user)}`;
  const invite = async (user: string): Promise<void> => {
    const made = (await act(`${path(user)}/invites`, "POST", {})) as { path: string } | undefined;
    if (made !== undefined) setLink({ name: user, url: `${location.origin}${made.path}` });
  };
  return (
    <>
      <h1>{say("admin.users")}</h1>
      <Failure error={error ?? listed.error} again={listed.again} />
      {link === undefined ? null : (
        <section className="card" aria-label={say("admin.invite")}>
          <p>{say("admin.invite.lead", { name: link.name })}</p>
          <p className="url">
            <code>{link.url}</code>
          </p>
          <button type="button" onClick={() => void navigator.clipboard.writeText(link.url)}>
            {say("admin.copy")}
          </button>{" "}
          <button type="button" onClick={() => setLink(undefined)}>
            {say("done")}
          </button>
        </section>
      )}
      <ul className="rows wide">
        {(listed.data?.users ?? []).map((each) => (
          <li key={each.user_id}>
            <b>{each.user_id}</b>
            <span>{factsOf(each)}</span>
            <span className="acts">
              <a className="button small" href={`#/devices/${encodeURIComponent(each.user_id)}`}>
                {say("nav.devices")}
              </a>
              <button type="button" className="small" onClick={() => void invite(each.user_id)}>
                {say("admin.invite")}
              </button>
              <button
                type="button"
                className="small"
                onClick={() =>
                  void act(`${path(each.user_id)}/${each.suspended_at === null ? "suspend" : "resume"}`, "POST")
                }
              >
                {say(each.suspended_at === null ? "devices.suspend" : "devices.resume")}
              </button>
              <Ask
                label={say("admin.remove")}
                question={say("admin.remove.sure", { name: each.user_id })}
                yes={() => act(path(each.user_id), "DELETE")}
              />
            </span>
          </li>
        ))}
      </ul>
      <NewUser add={(name) => act("/v1/users", "POST", { user_id: name, consent: ["all"] })} />
    </>
  );
}

function factsOf(user: UserDescription): string {
  const said = [
    say("admin.devices", { n: user.devices.length }),
    say("admin.since", { when: fullDate(Date.parse(user.created_at)) }),
  ];
  if (user.suspended_at !== null) said.unshift(say("devices.suspended"));
  return said.join(" · ");
}

function NewUser({ add }: { add: (name: string) => Promise<unknown> }): ReactElement {
  const [name, setName] = useState("");
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    void add(name.trim()).then((made) => made === undefined || setName(""));
  };
  return (
    <form className="inline-form" onSubmit={submit}>
      <NameField label={say("admin.users.new")} value={name} change={setName} />
      <button type="submit" className="primary">
        {say("admin.users.add")}
      </button>
    </form>
  );
}

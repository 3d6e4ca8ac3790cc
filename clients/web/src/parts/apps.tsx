/** Apps of others that send for a person: a login that is typed into each, shown once. */

import type { AppLogin, AppPage } from "@healthsync/client";
import { type FormEvent, type ReactElement, useState } from "react";
import { useAsked } from "../api/asked";
import { ask } from "../api/http";
import { howLongAgo } from "../saying";
import { say } from "../words/words";
import { Ask } from "./ask";
import { Failure } from "./failure";
import { NameField } from "./name_field";
import { Rename } from "./rename";

const FORMATS: Record<string, string> = {
  health_auto_export: "Health Auto Export",
  sleep_as_android: "Sleep as Android",
  openscale: "openScale sync",
  theengs: "Theengs Gateway",
  nightscout: "Nightscout",
  life_dashboard: "Life Dashboard",
  zepp: "Zepp OS",
};

export function Apps({ user }: { user: string }): ReactElement {
  const base = `/v1/users/${encodeURIComponent(user)}/apps`;
  const listed = useAsked<AppPage>(base);
  const [login, setLogin] = useState<AppLogin>();
  const [error, setError] = useState<unknown>();
  const [name, setName] = useState("");
  const [format, setFormat] = useState("health_auto_export");
  const act = async (work: () => Promise<void>): Promise<void> => {
    setError(undefined);
    await work().catch(setError);
    listed.again();
  };
  const path = (app: string): string => `${base}/${encodeURIComponent(app)}`;
  // To the service an app is a device with a password.
  const titlePath = (app: string): string =>
    `/v1/users/${encodeURIComponent(user)}/devices/${encodeURIComponent(app)}/rename`;
  const add = (event: FormEvent): void => {
    event.preventDefault();
    void act(async () => {
      setLogin(await ask<AppLogin>(base, { method: "POST", body: { device_id: name.trim(), formats: [format] } }));
      setName("");
    });
  };
  return (
    <section>
      <h2>{say("apps.title")}</h2>
      <p className="lead">{say("apps.lead")}</p>
      <Failure error={error ?? listed.error} again={listed.again} />
      {login === undefined ? null : (
        <section className="card" aria-label={say("apps.login", { name: login.device_id })}>
          <h3>{say("apps.login", { name: login.device_id })}</h3>
          <dl className="login">
            <dt>{say("apps.user")}</dt>
            <dd>
              <code>{login.username}</code>
            </dd>
            <dt>{say("apps.client")}</dt>
            <dd>
              <code>{login.client_id}</code>
            </dd>
            <dt>{say("apps.password")}</dt>
            <dd>
              <code>{login.password}</code>
            </dd>
            <dt>{say("apps.topic")}</dt>
            <dd>
              <code>{login.topics.join(" ")}</code>
            </dd>
          </dl>
          <p className="quiet">{say("apps.once")}</p>
          <button type="button" onClick={() => setLogin(undefined)}>
            {say("done")}
          </button>
        </section>
      )}
      <ul className="rows wide">
        {(listed.data?.apps ?? []).map((each) => (
          <li key={each.device_id}>
            <b>{each.title ?? each.device_id}</b>
            <span>
              {each.title == null ? "" : `${each.device_id} · `}
              {each.formats.map((sent) => FORMATS[sent] ?? sent).join(", ")} ·{" "}
              {each.last_seen_at == null
                ? say("devices.never")
                : say("devices.seen", { when: howLongAgo(Date.parse(each.last_seen_at)) })}
            </span>
            <span className="acts">
              <button
                type="button"
                className="small"
                onClick={() =>
                  void act(async () =>
                    setLogin(await ask<AppLogin>(`${path(each.device_id)}/rotate`, { method: "POST" })),
                  )
                }
              >
                {say("apps.rotate")}
              </button>
              <Rename
                id={each.device_id}
                title={each.title}
                save={(title) =>
                  act(async () => void (await ask(titlePath(each.device_id), { method: "POST", body: { title } })))
                }
              />
              <Ask
                label={say("devices.remove")}
                question={say("devices.remove.sure", { name: each.title ?? each.device_id })}
                yes={() => act(async () => void (await ask(path(each.device_id), { method: "DELETE" })))}
              />
            </span>
          </li>
        ))}
      </ul>
      <form className="inline-form" onSubmit={add}>
        <NameField label={say("apps.new")} value={name} change={setName} />
        <label className="field">
          <span>{say("apps.format")}</span>
          <select value={format} onChange={(event) => setFormat(event.target.value)}>
            {Object.entries(FORMATS).map(([each, title]) => (
              <option key={each} value={each}>
                {title}
              </option>
            ))}
          </select>
        </label>
        <button type="submit" className="primary">
          {say("devices.add")}
        </button>
      </form>
    </section>
  );
}

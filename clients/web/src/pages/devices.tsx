/** What sends for this person: devices, a new one by a code for its camera, and the end of one. */

import type { Device, DevicePage, EnrolmentCode } from "@healthsync/client";
import { type FormEvent, type ReactElement, useState } from "react";
import { useAsked } from "../api/asked";
import { ask } from "../api/http";
import { Apps } from "../parts/apps";
import { Ask } from "../parts/ask";
import { Clouds } from "../parts/clouds";
import { Failure } from "../parts/failure";
import { NameField } from "../parts/name_field";
import { Rename } from "../parts/rename";
import { dateAndTime, fullDate, howLongAgo } from "../saying";
import { say } from "../words/words";

export function Devices({ user, own }: { user: string; own: boolean }): ReactElement {
  const base = `/v1/users/${encodeURIComponent(user)}/devices`;
  const listed = useAsked<DevicePage>(base);
  const [code, setCode] = useState<EnrolmentCode>();
  const [error, setError] = useState<unknown>();
  const act = async (path: string, method: "POST" | "DELETE", body?: unknown): Promise<void> => {
    setError(undefined);
    await ask(`${base}/${path}`, { method, body }).catch(setError);
    listed.again();
  };
  const enrol = async (device: string): Promise<void> => {
    setError(undefined);
    try {
      setCode(await ask<EnrolmentCode>(`${base}/${encodeURIComponent(device)}/enrolment`, { method: "POST" }));
      listed.again();
    } catch (failed) {
      setError(failed);
    }
  };
  return (
    <>
      <h1>{say("devices.title")}</h1>
      <p className="lead">{say("devices.lead")}</p>
      <Failure error={error ?? listed.error} again={listed.again} />
      {code === undefined ? null : <NewCode code={code} done={() => setCode(undefined)} />}
      <ul className="rows wide">
        {(listed.data?.devices ?? []).map((each) => (
          <li key={each.device_id}>
            <b>{each.title ?? each.device_id}</b>
            <span>{presenceOf(each)}</span>
            <span className="acts">
              <button type="button" className="small" onClick={() => void enrol(each.device_id)}>
                {say("devices.code")}
              </button>
              <Rename
                id={each.device_id}
                title={each.title}
                save={(title) => act(`${encodeURIComponent(each.device_id)}/rename`, "POST", { title })}
              />
              <button
                type="button"
                className="small"
                onClick={() =>
                  void act(`${encodeURIComponent(each.device_id)}/${isSuspended(each) ? "resume" : "suspend"}`, "POST")
                }
              >
                {say(isSuspended(each) ? "devices.resume" : "devices.suspend")}
              </button>
              <Ask
                label={say("devices.remove")}
                question={say("devices.remove.sure", { name: each.title ?? each.device_id })}
                yes={() => act(encodeURIComponent(each.device_id), "DELETE")}
              />
            </span>
          </li>
        ))}
      </ul>
      <NewDevice enrol={enrol} />
      <Apps user={user} />
      {own ? <Clouds user={user} /> : null}
    </>
  );
}

function isSuspended(device: Device): boolean {
  return device.suspended_at !== null;
}

function presenceOf(device: Device): string {
  const said: string[] = device.title == null ? [] : [device.device_id];
  const seen = device.last_seen_at ?? null;
  if (isSuspended(device)) said.push(say("devices.suspended"));
  else if (device.online === true) said.push(say("devices.online"));
  else if (seen === null) said.push(say("devices.never"));
  else said.push(say("devices.seen", { when: howLongAgo(Date.parse(seen)) }));
  if (device.certificate_ends_at !== null) {
    said.push(say("devices.certificate", { when: fullDate(Date.parse(device.certificate_ends_at)) }));
  }
  if (device.refused_lately > 0) said.push(say("devices.refused", { n: device.refused_lately }));
  return said.join(" · ");
}

function NewDevice({ enrol }: { enrol: (device: string) => Promise<void> }): ReactElement {
  const [name, setName] = useState("");
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    void enrol(name.trim()).then(() => setName(""));
  };
  return (
    <form className="inline-form" onSubmit={submit}>
      <NameField label={say("devices.new")} value={name} change={setName} example="phone" />
      <button type="submit" className="primary">
        {say("devices.add")}
      </button>
    </form>
  );
}

function NewCode({ code, done }: { code: EnrolmentCode; done: () => void }): ReactElement {
  return (
    <section className="card code" aria-label={say("devices.code.for", { name: code.device_id })}>
      <img
        alt={say("devices.code.for", { name: code.device_id })}
        src={`data:image/svg+xml;utf8,${encodeURIComponent(withNamespace(code.qr_svg))}`}
      />
      <div>
        <h2>{say("devices.code.for", { name: code.device_id })}</h2>
        <p className="big">{code.code}</p>
        <p className="quiet">{say("devices.code.until", { when: dateAndTime(Date.parse(code.expires_at)) })}</p>
        <button type="button" onClick={done}>
          {say("done")}
        </button>
      </div>
    </section>
  );
}

/** An image of its own names what it is written in. */
function withNamespace(svg: string): string {
  return svg.includes("xmlns=") ? svg : svg.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"');
}

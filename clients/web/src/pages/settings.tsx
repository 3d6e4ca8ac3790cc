/** How this browser shows things, and the end of the session. */

import { type ReactElement, useState } from "react";
import { endThere } from "../api/organisation";
import { type Person, session } from "../api/session";
import { useWays } from "../api/ways";
import { Failure } from "../parts/failure";
import { Passkeys } from "../parts/passkeys";
import { type Settings, settings, useSettings } from "../settings";
import { LANGUAGES, say } from "../words/words";

export function SettingsPage({ person }: { person: Person }): ReactElement {
  const [error, setError] = useState<unknown>();
  const organisation = useWays().data?.organisation;
  return (
    <>
      <h1>{say("settings.title")}</h1>
      <div className="choices">
        <Choice of="language" title={say("settings.language")} choices={LANGUAGES} />
        <Choice
          of="theme"
          title={say("settings.theme")}
          choices={{
            system: say("settings.theme.system"),
            light: say("settings.theme.light"),
            dark: say("settings.theme.dark"),
          }}
        />
        <Choice
          of="clock"
          title={say("settings.clock")}
          choices={{ "24": say("settings.clock.24"), "12": say("settings.clock.12") }}
        />
        <Choice of="mass" title={say("settings.mass")} choices={{ kg: "kg", lb: "lb" }} />
        <Choice of="glucose" title={say("settings.glucose")} choices={{ mg: "mg/dl", mmol: "mmol/l" }} />
        <Choice of="temperature" title={say("settings.temperature")} choices={{ celsius: "°C", fahrenheit: "°F" }} />
        <Choice
          of="length"
          title={say("settings.length")}
          choices={{ metric: say("settings.length.metric"), imperial: say("settings.length.imperial") }}
        />
      </div>
      <Passkeys />
      <p className="quiet">{say("settings.signed_in", { name: person.name })}</p>
      <Failure error={error} />
      <button type="button" onClick={() => void session.end().catch(setError)}>
        {say("settings.sign_out")}
      </button>
      {organisation == null ? null : (
        <>
          {" "}
          <button type="button" onClick={() => void endThere().catch(setError)}>
            {say("settings.sign_out.organisation", { title: organisation })}
          </button>
        </>
      )}
    </>
  );
}

function Choice<Name extends keyof Settings>({
  of,
  title,
  choices,
}: {
  of: Name;
  title: string;
  choices: Record<Settings[Name], string>;
}): ReactElement {
  const chosen = useSettings()[of];
  return (
    <fieldset>
      <legend>{title}</legend>
      <div className="segments">
        {Object.entries<string>(choices).map(([value, label]) => (
          <label key={value}>
            <input
              type="radio"
              name={of}
              value={value}
              checked={value === chosen}
              onChange={() => settings.set({ [of]: value } as Partial<Settings>)}
            />
            <span>{label}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

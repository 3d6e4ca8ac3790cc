/** The frame of all pages: who is signed in, what there is, and where one is. */

import { type ReactElement, useEffect, useMemo, useState, useSyncExternalStore } from "react";
import { forgetAnswers } from "./api/asked";
import { Live } from "./api/live";
import { type Person, session } from "./api/session";
import { Charts } from "./pages/charts";
import { DayPage } from "./pages/day";
import { Nobody } from "./pages/nobody";
import { SettingsPage } from "./pages/settings";
import { Frame } from "./parts/frame";
import { useRoute } from "./route";
import { settings, useSettings } from "./settings";
import { language, say, speak } from "./words/words";

export function App(): ReactElement {
  const known = useSyncExternalStore(session.subscribe, session.get);
  const spoken = useSpokenLanguage();
  switch (known.state) {
    case "asking":
      return <p className="quiet centre">{say("app.loading")}</p>;
    case "nobody":
    case "away":
      return <Nobody away={known.state === "away"} />;
    case "person":
      return <SignedIn key={`${known.person.role} ${known.person.name} ${spoken}`} person={known.person} />;
  }
}

/** The language of the settings, once its file is there. */
function useSpokenLanguage(): string {
  const { language: wanted } = useSettings();
  const [spoken, setSpoken] = useState(language());
  useEffect(() => void speak(wanted).then(() => setSpoken(wanted)), [wanted]);
  return spoken;
}

function SignedIn({ person }: { person: Person }): ReactElement {
  const route = useRoute();
  const live = useMemo(() => new Live(person.name), [person.name]);
  useSyncExternalStore(settings.subscribe, settings.get);
  useEffect(() => forgetAnswers, []);
  return (
    <Frame person={person} page={route.page}>
      {pageOf(route.page, route.of, person, live)}
    </Frame>
  );
}

function pageOf(page: string, of: string, person: Person, live: Live): ReactElement {
  switch (page) {
    case "charts":
      return <Charts user={person.name} type={of} live={live} />;
    case "settings":
      return <SettingsPage person={person} />;
    default:
      return <DayPage user={person.name} date={of} live={live} />;
  }
}

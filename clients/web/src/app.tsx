/** The frame of all pages: who is signed in, what there is, and where one is. */

import {
  type ComponentType,
  lazy,
  type LazyExoticComponent,
  type ReactElement,
  Suspense,
  useEffect,
  useMemo,
  useState,
  useSyncExternalStore,
} from "react";
import { forgetAnswers } from "./api/asked";
import { useCared } from "./api/cared";
import { Live } from "./api/live";
import { BrowserOutbox } from "./api/outbox";
import { type Person, session } from "./api/session";
import { Add } from "./pages/add";
import { Button } from "./pages/button";
import { DayPage } from "./pages/day";
import { Nobody } from "./pages/nobody";
import { SettingsPage } from "./pages/settings";
import { Failure } from "./parts/failure";
import { Frame, OF_ADMINS, OF_CARERS, OF_USERS } from "./parts/frame";
import { OutboxState } from "./parts/outbox_state";
import { Whose } from "./parts/whose";
import { go, type Route, useRoute } from "./route";
import { settings, useSettings } from "./settings";
import { language, say, speak } from "./words/words";

/** A page that is fetched when it is first looked at. Where it does not come, that is said in its place, not nothing. */
function fetched<Parts extends object>(
  page: () => Promise<ComponentType<Parts>>,
): LazyExoticComponent<ComponentType<Parts>> {
  const instead = (error: unknown) => (): ReactElement => <Failure error={error} again={() => location.reload()} />;
  return lazy(async () => ({ default: await page().catch(instead) }));
}

// What is looked at less often is fetched when it first is; offline the service worker has it.
const Charts = fetched(async () => (await import("./pages/charts")).Charts);
const Data = fetched(async () => (await import("./pages/data")).Data);
const Devices = fetched(async () => (await import("./pages/devices")).Devices);
const Sharing = fetched(async () => (await import("./pages/sharing")).Sharing);
const Adapters = fetched(async () => (await import("./pages/adapters")).Adapters);
const Audit = fetched(async () => (await import("./pages/audit")).Audit);
const Overview = fetched(async () => (await import("./pages/overview")).Overview);
const Rejected = fetched(async () => (await import("./pages/rejected")).Rejected);
const Sinks = fetched(async () => (await import("./pages/sinks")).Sinks);
const Users = fetched(async () => (await import("./pages/users")).Users);

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
  useSyncExternalStore(settings.subscribe, settings.get);
  useEffect(() => forgetAnswers, []);
  return person.role === "admin" ? <Admin person={person} /> : <Self person={person} />;
}

/** A page, once its part of the program is here. */
function Fetched({ children }: { children: ReactElement }): ReactElement {
  return <Suspense fallback={<p className="quiet">{say("app.loading")}</p>}>{children}</Suspense>;
}

/** What somebody sees who has data here, or sees that of others. */
function Self({ person }: { person: Person }): ReactElement {
  const route = useRoute();
  const cared = useCared();
  const whose = cared.chosen ?? person.name;
  const own = whose === person.name;
  const live = useMemo(() => new Live(whose), [whose]);
  const outbox = useMemo(() => new BrowserOutbox(person.name), [person.name]);
  useEffect(() => outbox.start(), [outbox]);
  if (route.page === "button") return <Button outbox={outbox} />;
  const choose = (next: string): void => {
    cared.choose(next);
    go("#/");
  };
  return (
    <Frame
      person={person}
      page={route.page}
      entries={own ? OF_USERS : OF_CARERS}
      whose={<Whose own={person.name} others={cared.others} whose={whose} choose={choose} />}
    >
      <OutboxState outbox={outbox} />
      <Fetched>{own ? ofUser(route, person, live, outbox) : ofOther(route, person, whose, live)}</Fetched>
    </Frame>
  );
}

function ofOther({ page, of, rest }: Route, person: Person, whose: string, live: Live): ReactElement {
  switch (page) {
    case "charts":
      return <Charts key={whose} user={whose} type={of} span={rest.get("span")} live={live} />;
    case "settings":
      return <SettingsPage person={person} />;
    default:
      return <DayPage key={whose} user={whose} date={of} live={live} />;
  }
}

function ofUser({ page, of, rest }: Route, person: Person, live: Live, outbox: BrowserOutbox): ReactElement {
  switch (page) {
    case "charts":
      return <Charts user={person.name} type={of} span={rest.get("span")} live={live} />;
    case "add":
      return <Add outbox={outbox} type={of} />;
    case "sharing":
      return <Sharing user={person.name} />;
    case "devices":
      return <Devices user={person.name} own />;
    case "data":
      return <Data user={person.name} />;
    case "settings":
      return <SettingsPage person={person} />;
    default:
      return <DayPage user={person.name} date={of} live={live} />;
  }
}

/** What an admin sees, who has no data. */
function Admin({ person }: { person: Person }): ReactElement {
  const route = useRoute();
  return (
    <Frame person={person} page={route.page} entries={OF_ADMINS}>
      <Fetched>{ofAdmin(route, person)}</Fetched>
    </Frame>
  );
}

function ofAdmin({ page, of }: Route, person: Person): ReactElement {
  switch (page) {
    case "users":
      return <Users />;
    case "devices":
      return <Devices key={of} user={of} own={false} />;
    case "adapters":
      return <Adapters />;
    case "rejected":
      return <Rejected />;
    case "sinks":
      return <Sinks />;
    case "audit":
      return <Audit />;
    case "settings":
      return <SettingsPage person={person} />;
    default:
      return <Overview />;
  }
}

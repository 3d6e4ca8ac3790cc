/** Name, pages and what is open: beside the page on wide screens, below it on narrow ones. */

import { type ReactElement, type ReactNode, useEffect, useRef } from "react";
import type { Person } from "../api/session";
import { say, type Word } from "../words/words";
import { Icon, type IconName } from "./icon";

interface Entry {
  page: string;
  word: Word;
  icon: IconName;
}

export const OF_USERS: readonly Entry[] = [
  { page: "", word: "nav.today", icon: "day" },
  { page: "charts", word: "nav.charts", icon: "chart" },
  { page: "add", word: "nav.add", icon: "add" },
  { page: "sharing", word: "nav.sharing", icon: "share" },
  { page: "devices", word: "nav.devices", icon: "device" },
  { page: "data", word: "nav.data", icon: "data" },
  { page: "settings", word: "nav.settings", icon: "settings" },
];

/** Of what somebody else lets one see. */
export const OF_CARERS: readonly Entry[] = OF_USERS.filter(({ page }) => ["", "charts", "settings"].includes(page));

export const OF_ADMINS: readonly Entry[] = [
  { page: "", word: "status.title", icon: "chart" },
  { page: "users", word: "admin.users", icon: "share" },
  { page: "sinks", word: "sinks.title", icon: "after" },
  { page: "adapters", word: "adapters.title", icon: "device" },
  { page: "rejected", word: "rejected.title", icon: "less" },
  { page: "audit", word: "audit.title", icon: "data" },
  { page: "settings", word: "nav.settings", icon: "settings" },
];

interface Parts {
  person: Person;
  page: string;
  entries: readonly Entry[];
  whose?: ReactNode;
  children: ReactNode;
}

export function Frame({ person, page, entries, whose, children }: Parts): ReactElement {
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  useEffect(() => {
    if (first.current) first.current = false;
    else main.current?.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }, [page]);
  const shown = page === "day" ? "" : page;
  return (
    <div className="frame">
      <a
        className="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          main.current?.focus();
        }}
      >
        {say("nav.skip")}
      </a>
      <header className="side">
        <a className="mark" href="#/" aria-label="HealthSync">
          <Icon name="mark" /> <span>HealthSync</span>
        </a>
        <nav aria-label={say("nav.label")}>
          {entries.map(({ page: to, word, icon }) => (
            <a key={to} href={`#/${to}`} aria-current={to === shown ? "page" : undefined}>
              <Icon name={icon} />
              <span>{say(word)}</span>
            </a>
          ))}
        </nav>
        {whose}
        <p className="who">{person.name}</p>
      </header>
      <main id="main" ref={main} tabIndex={-1}>
        {children}
      </main>
    </div>
  );
}

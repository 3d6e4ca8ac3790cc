/** Files of others, dropped here: archives of phones and watches, recorded activities, tables. */

import type { Import, Imports as ImportList } from "@healthsync/client";
import { type DragEvent, type ReactElement, useEffect, useState } from "react";
import { ask } from "../api/http";
import { useLooked } from "../api/looked";
import { dateAndTime, decimal } from "../saying";
import { say, type Word } from "../words/words";
import { Failure } from "./failure";

const SOON_MS = 2_000;
const SELDOM_MS = 60_000;

export function Imports({ user }: { user: string }): ReactElement {
  const path = `/v1/users/${encodeURIComponent(user)}/imports`;
  const [busy, setBusy] = useState(false);
  const listed = useLooked<ImportList>(path, busy ? SOON_MS : SELDOM_MS);
  const [over, setOver] = useState(false);
  const [sending, setSending] = useState("");
  const [error, setError] = useState<unknown>();
  const imports = listed.data?.imports ?? [];
  useEffect(() => {
    setBusy(sending !== "" || imports.some((each) => each.state === "waiting" || each.state === "reading"));
  }, [imports, sending]);
  const take = async (files: readonly File[]): Promise<void> => {
    setError(undefined);
    for (const file of files) {
      setSending(file.name);
      try {
        await ask(path, { method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" } });
      } catch (failed) {
        setError(failed);
      }
      listed.again();
    }
    setSending("");
  };
  const dropped = (event: DragEvent): void => {
    event.preventDefault();
    setOver(false);
    void take([...event.dataTransfer.files]);
  };
  return (
    <section>
      <h2>{say("import.title")}</h2>
      <label
        className={over ? "drop over" : "drop"}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={dropped}
      >
        <b>{sending === "" ? say("import.drop") : say("import.sending", { name: sending })}</b>
        <span>{say("import.kinds")}</span>
        <input
          type="file"
          multiple
          disabled={sending !== ""}
          onChange={(event) => {
            const files = [...(event.target.files ?? [])];
            event.target.value = "";
            void take(files);
          }}
        />
      </label>
      <Failure error={error ?? listed.error} again={listed.again} />
      <ul className="rows" aria-live="polite">
        {imports.map((each) => (
          <li key={each.id}>
            <time>{dateAndTime(Date.parse(each.begun_at))}</time>
            <b>{say(`import.${each.state}` as Word)}</b>
            <span>{outcomeOf(each)}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function outcomeOf({ outcome, bytes }: Import): string {
  const failed = outcome?.["error"];
  if (typeof failed === "object" && failed !== null) return String((failed as { message?: unknown }).message ?? "");
  const counts = ["stored", "duplicate", "rejected"].flatMap((name) => {
    const count = outcome?.[name];
    return typeof count === "number" ? [say(`import.count.${name}` as Word, { n: decimal(count, 0) })] : [];
  });
  return counts.length === 0 ? `${decimal(bytes / 1_000_000, 1)} MB` : counts.join(" · ");
}

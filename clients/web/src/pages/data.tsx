/** What a person may do with all of it: bring more, take it along, and end it. */

import { type ReactElement, useState } from "react";
import { exportAll, type Format, FORMATS } from "../api/export";
import { Erasure } from "../parts/erasure";
import { Failure } from "../parts/failure";
import { Imports } from "../parts/imports";
import { decimal } from "../saying";
import { say, type Word } from "../words/words";

type Work = { state: "rest" } | { state: "writing"; lines: number } | { state: "done"; lines: number };

export function Data({ user }: { user: string }): ReactElement {
  const [work, setWork] = useState<Work>({ state: "rest" });
  const [error, setError] = useState<unknown>();
  const write = async (format: Format): Promise<void> => {
    setError(undefined);
    setWork({ state: "writing", lines: 0 });
    let lines = 0;
    try {
      await exportAll(user, format, (count) => {
        lines = count;
        setWork({ state: "writing", lines });
      });
      setWork({ state: "done", lines });
    } catch (failed) {
      setWork({ state: "rest" });
      // Who closes the question where to write has changed their mind.
      if (!(failed instanceof DOMException && failed.name === "AbortError")) setError(failed);
    }
  };
  return (
    <>
      <h1>{say("data.title")}</h1>
      <Imports user={user} />
      <section>
        <h2>{say("export.title")}</h2>
        <p className="lead">{say("export.lead")}</p>
        <Failure error={error} />
        <div className="acts">
          {(Object.keys(FORMATS) as Format[]).map((format) => (
            <button key={format} type="button" disabled={work.state === "writing"} onClick={() => void write(format)}>
              {say(`export.${format}` as Word)}
            </button>
          ))}
          <a className="button" href={`/v1/users/${encodeURIComponent(user)}/export`} download>
            {say("export.archive")}
          </a>
        </div>
        <p className="quiet" role="status">
          {work.state === "rest" ? "" : say(`export.${work.state}` as Word, { n: decimal(work.lines, 0) })}
        </p>
      </section>
      <Erasure user={user} />
    </>
  );
}

/** What went wrong, and what may be done about it. */

import type { ReactElement } from "react";
import { Refusal } from "../api/http";
import { say } from "../words/words";

export function Failure({ error, again }: { error: unknown; again?: () => void }): ReactElement | null {
  if (error === undefined) return null;
  const away = error instanceof TypeError;
  const said =
    error instanceof Refusal
      ? `${error.message}${error.hint === "" ? "" : `. ${error.hint}`}`
      : away
        ? say("away.body")
        : String(error);
  return (
    <div className="failure" role="alert">
      <strong>{say(away ? "away.title" : "error.title")}</strong>
      <p>{said}</p>
      {again === undefined ? null : (
        <button type="button" onClick={again}>
          {say("error.again")}
        </button>
      )}
    </div>
  );
}

/** For who cares for others: whose data is looked at. */

import type { ReactElement } from "react";
import { say } from "../words/words";

interface Parts {
  own: string;
  others: readonly string[];
  whose: string;
  choose: (whose: string) => void;
}

export function Whose({ own, others, whose, choose }: Parts): ReactElement | null {
  if (others.length === 0) return null;
  return (
    <label className="field whose">
      <span>{say("carer.whose")}</span>
      <select value={whose} onChange={(event) => choose(event.target.value)}>
        <option value={own}>{say("carer.own", { name: own })}</option>
        {others.map((each) => (
          <option key={each} value={each}>
            {each}
          </option>
        ))}
      </select>
    </label>
  );
}

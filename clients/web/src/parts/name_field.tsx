/** Where a name is typed that becomes an id: of a user, a device, an app. The rule is the service's. */
import type { ReactElement } from "react";

import { say } from "../words/words";

export function NameField({
  label,
  value,
  change,
  example,
}: {
  label: string;
  value: string;
  change: (name: string) => void;
  example?: string | undefined;
}): ReactElement {
  return (
    <label className="field">
      <span>{label}</span>
      <input
        value={value}
        onChange={(event) => change(event.target.value)}
        pattern="[A-Za-z0-9_\-]{1,64}"
        title={say("devices.name.rule")}
        placeholder={example}
        required
        autoComplete="off"
      />
    </label>
  );
}

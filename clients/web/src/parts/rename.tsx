/** What people call a device or an app: a button that becomes, in its place, a field with the title. Empty takes it away. */

import { type FormEvent, type ReactElement, useEffect, useRef, useState } from "react";
import { say } from "../words/words";

const LONGEST_TITLE = 64;

interface Parts {
  id: string;
  title: string | null | undefined;
  save: (title: string) => unknown;
}

export function Rename({ id, title, save }: Parts): ReactElement {
  const [typed, setTyped] = useState<string>();
  const field = useRef<HTMLInputElement>(null);
  const open = typed !== undefined;
  useEffect(() => {
    if (open) field.current?.select();
  }, [open]);
  if (typed === undefined) {
    return (
      <button type="button" className="small" onClick={() => setTyped(title ?? "")}>
        {say("rename")}
      </button>
    );
  }
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    setTyped(undefined);
    save(typed.trim());
  };
  return (
    <form
      className="asking"
      onSubmit={submit}
      onKeyDown={(event) => {
        if (event.key === "Escape") setTyped(undefined);
      }}
    >
      <input
        ref={field}
        aria-label={say("rename.title", { name: id })}
        value={typed}
        onChange={(event) => setTyped(event.target.value)}
        placeholder={id}
        maxLength={LONGEST_TITLE}
        autoComplete="off"
      />
      <button type="submit" className="small">
        {say("save")}
      </button>
      <button type="button" className="small" onClick={() => setTyped(undefined)}>
        {say("no")}
      </button>
    </form>
  );
}

/** A button for what cannot be taken back: it asks once more, in its place. */

import { type ReactElement, useEffect, useRef, useState } from "react";
import { say } from "../words/words";

interface Parts {
  label: string;
  question: string;
  yes: () => unknown;
  small?: boolean;
}

export function Ask({ label, question, yes, small = true }: Parts): ReactElement {
  const [asking, setAsking] = useState(false);
  const first = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (asking) first.current?.focus();
  }, [asking]);
  const size = small ? "small" : "";
  if (!asking) {
    return (
      <button type="button" className={`${size} danger`} onClick={() => setAsking(true)}>
        {label}
      </button>
    );
  }
  return (
    <span className="asking" role="alertdialog" aria-label={question}>
      <span>{question}</span>
      <button ref={first} type="button" className={size} onClick={() => setAsking(false)}>
        {say("no")}
      </button>
      <button
        type="button"
        className={`${size} danger`}
        onClick={() => {
          setAsking(false);
          yes();
        }}
      >
        {label}
      </button>
    </span>
  );
}

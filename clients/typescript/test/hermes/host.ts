/** What is around Hermes here, seen from within: a host that is told by printed lines, and answers by calling `told`. */

type Told = (said: unknown) => void;

declare function print(text: string): void;

const waiting = new Map<number, Told>();
let last = 0;

/** Ask the host for something; `told` gets its answer, unless it was given up before. */
export function ask(op: string, more: object, told?: Told): number {
  last += 1;
  if (told) waiting.set(last, told);
  const text = JSON.stringify({ op, id: last, ...more });
  print(
    `\u0001${text.replace(/[\u007f-\uffff]/g, (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, "0")}`)}`,
  );
  return last;
}

export function giveUp(id: number): void {
  if (waiting.delete(id)) ask("giveUp", { of: id });
}

/** The same as a promise of one answer. */
export function asked(op: string, more: object): Promise<unknown> {
  return new Promise((resolve) => ask(op, more, resolve));
}

/** Make something known to all of the realm. */
export function lend(name: string, value: unknown): void {
  (globalThis as unknown as Record<string, unknown>)[name] = value;
}

lend("told", (id: number, said: unknown) => {
  const told = waiting.get(id);
  waiting.delete(id);
  told?.(said);
});

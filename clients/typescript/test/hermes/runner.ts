/** As much of `node:test` and `node:assert` as the tests of the core use, for an engine that has neither. */

type Work = () => unknown;

const works: Array<readonly [name: string, work: Work]> = [];
let within = "";

export function describe(name: string, about: Work): void {
  const outer = within;
  within = `${outer}${name}: `;
  about();
  within = outer;
}

export function it(name: string, work: Work): void {
  works.push([within + name, work]);
}

/** What came of each test: its name, and what was wrong. */
export async function outcomes(): Promise<Array<readonly [name: string, wrong: string | null]>> {
  const found: Array<readonly [string, string | null]> = [];
  for (const [name, work] of works) {
    try {
      await work();
      found.push([name, null]);
    } catch (error) {
      found.push([name, error instanceof Error ? `${error.message}\n${error.stack ?? ""}` : String(error)]);
    }
  }
  return found;
}

function expect(good: boolean, wrong: string): asserts good {
  if (!good) throw new Error(wrong);
}

function same(one: unknown, other: unknown): boolean {
  if (Object.is(one, other)) return true;
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return false;
  const [left, right] = [one, other] as Array<Record<string, unknown>>;
  if (!left || !right || Array.isArray(one) !== Array.isArray(other)) return false;
  const names = Object.keys(left);
  return (
    names.length === Object.keys(right).length && names.every((name) => name in right && same(left[name], right[name]))
  );
}

export default {
  ok: (value: unknown, wrong = "it is not so"): void => {
    expect(Boolean(value), wrong);
  },
  equal: (found: unknown, wanted: unknown, wrong = ""): void => {
    expect(Object.is(found, wanted), `${String(found)} is not ${String(wanted)} ${wrong}`);
  },
  deepEqual: (found: unknown, wanted: unknown): void => {
    expect(same(found, wanted), `${JSON.stringify(found)} is not ${JSON.stringify(wanted)}`);
  },
  rejects: async (work: Promise<unknown> | (() => Promise<unknown>), wanted: unknown): Promise<void> => {
    const error = await (typeof work === "function" ? work() : work).then(
      () => undefined,
      (failed: unknown) => failed,
    );
    expect(error instanceof Error, "it did not fail");
    if (wanted instanceof RegExp) expect(wanted.test(String(error)), `${String(error)} is not ${String(wanted)}`);
    else if (typeof wanted === "function" && "prototype" in wanted)
      expect(error instanceof (wanted as new () => Error), `${String(error)} is no ${wanted.name}`);
    else if (typeof wanted === "function") expect((wanted as (error: unknown) => boolean)(error), String(error));
    else
      for (const [name, value] of Object.entries(wanted as object))
        expect(same((error as unknown as Record<string, unknown>)[name], value), `${name} of ${String(error)}`);
  },
};

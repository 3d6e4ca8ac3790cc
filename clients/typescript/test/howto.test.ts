/** docs/howto/javascript.md: each program is run as it stands there, and prints what stands there. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { cli, ready } from "./support/service.js";

const PAGE = fileURLToPath(new URL("../../../../docs/howto/javascript.md", import.meta.url));
const run = promisify(execFile);

describe("docs/howto/javascript.md", () => {
  let programs: Array<{ readonly text: string; readonly prints: string }>;
  let folder: string;

  before(async () => {
    const page = await readFile(PAGE, "utf8");
    const found = page.matchAll(/```js\n(.*?)```\s+```text\n(.*?)```/gs);
    programs = [...found].map(([, text = "", prints = ""]) => ({ text, prints }));
    folder = await mkdtemp(fileURLToPath(new URL("howto-", import.meta.url)));
  });

  after(() => rm(folder, { recursive: true }));

  async function expectPrinted(at: number, env: Record<string, string>): Promise<void> {
    const program = programs[at];
    assert.ok(program);
    const file = join(folder, `${at}.mjs`);
    await writeFile(file, program.text);
    const { stdout } = await run(process.execPath, [file], { env: { ...process.env, GATEWAY: ready.http, ...env } });
    assert.deepEqual(
      stdout.split("\n").map((line) => line.trimEnd()),
      program.prints.split("\n"),
    );
  }

  it("enrols and sends, then reads", async () => {
    assert.equal(programs.length, 2);
    const { code } = (await cli("device", "enroll", "alice", "phone")) as { code: string };
    await expectPrinted(0, { CODE: code });
    const { token } = (await cli("subscriber", "add", "reader", "--users", "alice", "--types", "*")) as {
      token: string;
    };
    await expectPrinted(1, { TOKEN: token });
  });
});

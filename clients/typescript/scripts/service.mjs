// A service of its own for the tests: `healthsync up` of this checkout on free ports, ended by its pid.
import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const PATIENCE_MS = 120_000;
const root = fileURLToPath(new URL("../../..", import.meta.url));

/** The program that is tried: the one of this checkout's environment, or HEALTHSYNC. */
export function program() {
  const path = process.env.HEALTHSYNC ?? join(root, ".venv", "bin", "healthsync");
  if (!existsSync(path)) throw new Error(`${path} is not there; make it with scripts/check, or name one: HEALTHSYNC`);
  return path;
}

/** Starts it; `settings` is the text of its healthsync.toml. The caller ends it with `stop`. */
export async function startService(settings = "") {
  const folder = await mkdtemp(join(tmpdir(), "healthsync-js-"));
  const data = join(folder, "data");
  const env = { ...process.env, HEALTHSYNC_DATA: data };
  const run = promisify(execFile);

  /** The JSON that a command prints. */
  async function cli(...words) {
    const { stdout } = await run(program(), [...words, "--json"], { env, timeout: PATIENCE_MS });
    return JSON.parse(stdout.split("\n")[0] || "{}");
  }

  async function up(ports) {
    const words = [
      "up",
      "--mqtt-port",
      "0",
      "--mqtts-port",
      ports.mqtts,
      "--wss-port",
      ports.wss,
      "--http-port",
      ports.http,
    ];
    const child = spawn(program(), [...words, "--json"], { env, stdio: ["ignore", "pipe", "pipe"] });
    let log = "";
    child.stderr.on("data", (bytes) => (log = (log + bytes).slice(-8_000)));
    const ended = new Promise((resolve) => child.once("exit", resolve));
    const ready = await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no ready line within ${PATIENCE_MS} ms\n${log}`)), PATIENCE_MS);
      ended.then((code) => reject(new Error(`the service ended with ${code}\n${log}`)));
      createInterface({ input: child.stdout }).on("line", (line) => {
        const said = JSON.parse(line);
        if (said.event !== "ready") return;
        clearTimeout(timer);
        resolve(said);
      });
    });
    return { child, ended, ready };
  }

  await cli("user", "add", "alice", "--consent", "all"); // makes the data directory, too
  if (settings) {
    const file = join(data, "healthsync.toml");
    const before = existsSync(file) ? await readFile(file, "utf8") : "";
    await writeFile(file, `${before}\n${settings}\n`);
  }
  let running = await up({ mqtts: "0", wss: "0", http: "0" });
  return {
    cli,
    data,
    get ready() {
      return running.ready;
    },
    /** End it and remove what it left. */
    async stop() {
      running.child.kill("SIGTERM");
      await running.ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

// A service of its own for these tests: its data in a directory that goes with it, its ports free ones.
import { execFile, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { CLIENT, Provider } from "./provider.mjs";

const ROOT = new URL("../../../", import.meta.url).pathname;
const HEALTHSYNC = process.env.HEALTHSYNC ?? join(ROOT, ".venv/bin/healthsync");
const run = promisify(execFile);
/** Where it says that it is. Its browser goes to its port for that: no name is looked up, and nothing leaves here. */
export const PUBLIC_URL = "https://health.example.org";
const settings = (issuer) => `[gateway]
public_url = "${PUBLIC_URL}"
[gateway.oidc]
issuer = "${issuer}"
title = "Example Hospital"
client_id = "${CLIENT}"
[adapters.oura]
client_id = "e2e"
client_secret = "of-nobody"
auth_url = "https://cloud.example.org/oauth/authorize"
`;

export class Service {
  /** `healthsync up --demo`, ready. */
  static async start() {
    const data = mkdtempSync(join(tmpdir(), "healthsync-e2e-"));
    // A cloud that can be connected: where its users would agree nobody listens, and nobody goes.
    const provider = await Provider.start(`${PUBLIC_URL}/v1/session/organisation/callback`);
    writeFileSync(join(data, "healthsync.toml"), settings(provider.issuer), { mode: 0o600 });
    const ports = ["--mqtt-port", "--mqtts-port", "--wss-port", "--http-port"].flatMap((option) => [option, "0"]);
    const child = spawn(HEALTHSYNC, ["up", "--demo", "--json", "--data", data, ...ports], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    const service = new Service(data, child, provider);
    const said = [];
    child.stderr.on("data", (bytes) => said.push(bytes));
    for await (const line of createInterface({ input: child.stdout })) {
      const told = JSON.parse(line);
      if (told.event === "ready") {
        service.url = told.http;
        child.stdout.resume();
        return service;
      }
    }
    throw new Error(`the service ended: ${Buffer.concat(said).toString().slice(-2000)}`);
  }

  constructor(data, child, provider) {
    this.data = data;
    this.child = child;
    this.provider = provider;
    this.url = "";
  }

  /** What a command of this data directory prints as JSON. */
  async cli(...words) {
    const [only] = await this.lines(...words);
    return only;
  }

  /** The same of a command that prints a line each. */
  async lines(...words) {
    const { stdout } = await run(HEALTHSYNC, [...words, "--data", this.data, "--json"], { maxBuffer: 1 << 26 });
    return stdout
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line));
  }

  async stop() {
    await this.provider.stop();
    if (this.child.exitCode === null) {
      const ended = new Promise((resolve) => this.child.once("exit", resolve));
      this.child.kill("SIGTERM");
      await ended;
    }
    if (existsSync(this.data)) rmSync(this.data, { recursive: true, force: true });
  }
}

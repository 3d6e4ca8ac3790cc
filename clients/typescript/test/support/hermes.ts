/**
 * Hermes, the engine of React Native, as a program: what it runs is made one script for it, in the language that React
 * Native's own build makes; and what React Native has around it, it is lent from here.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import type { Answered } from "../hermes/request.js";

const { resolve } = createRequire(import.meta.url);
const FOLDERS: Partial<Record<string, string>> = {
  "linux x64": "linux64-bin",
  "darwin x64": "osx-bin",
  "darwin arm64": "osx-bin",
};
const CORE = fileURLToPath(new URL("../../index.js", import.meta.url));
const RUNNER = fileURLToPath(new URL("../hermes/runner.js", import.meta.url));
const INSTEAD: Partial<Record<string, string>> = {
  "@healthsync/client": CORE,
  "node:assert/strict": RUNNER,
  "node:test": RUNNER,
};
// Hermes has neither classes nor async functions yet: as in an app, they are made of what it has.
const LOWERED = {
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- all the same it is what this engine takes
  target: ts.ScriptTarget.ES5,
  module: ts.ModuleKind.CommonJS,
  downlevelIteration: true,
  esModuleInterop: true,
} as const;

/** The program; undefined where the package has none for this machine. */
export function hermesPath(): string | undefined {
  const folder = FOLDERS[`${process.platform} ${process.arch}`];
  const path = folder && resolve("hermes-engine-cli/package.json").replace("package.json", `${folder}/hermes`);
  return path && existsSync(path) ? path : undefined;
}

/** A module and all that it imports, as one script. */
export async function scriptOf(entry: URL): Promise<string> {
  const modules = new Map<string, string>();
  const add = async (path: string): Promise<void> => {
    if (modules.has(path)) return;
    modules.set(path, "");
    const text = await readFile(path, "utf8");
    const code = ts.transpileModule(text, { compilerOptions: LOWERED }).outputText;
    const named = [...code.matchAll(/\brequire\(["']([^"']+)["']\)/g)].map(([, name = ""]) => name);
    const paths = Object.fromEntries(named.map((name) => [name, pathOf(name, path)]));
    modules.set(path, `[${JSON.stringify(paths)},function(require,exports,module){${code}\n}]`);
    for (const each of Object.values(paths)) await add(each);
  };
  await add(fileURLToPath(entry));
  const table = [...modules].map(([path, module]) => `${JSON.stringify(path)}:${module}`).join(",\n");
  return `(function(table){
    var made = {};
    function load(path) {
      if (made[path]) return made[path].exports;
      var module = made[path] = { exports: {} };
      table[path][1](function (name) { return load(table[path][0][name]); }, module.exports, module);
      return module.exports;
    }
    load(${JSON.stringify(fileURLToPath(entry))});
  })({${table}})`;
}

function pathOf(name: string, from: string): string {
  return INSTEAD[name] ?? createRequire(from).resolve(name);
}

interface Said {
  readonly op: string;
  readonly id: number;
  readonly [more: string]: unknown;
}

/** One life of the engine, which has run `script`; `stored` is what it may keep beyond that. */
export class Hermes {
  private readonly child: ChildProcess;
  private readonly running = new Map<number, () => void>();
  private readonly result: Promise<unknown>;
  private end: (result: unknown) => void = () => undefined;
  private fail: (error: Error) => void = () => undefined;

  constructor(
    path: string,
    script: string,
    private readonly stored = new Map<string, string>(),
  ) {
    this.result = new Promise((end, fail) => {
      this.end = end;
      this.fail = fail;
    });
    this.child = spawn(path, [], { stdio: ["pipe", "pipe", "inherit"] });
    this.child.once("error", (error) => this.fail(error));
    this.child.once("exit", (status) => this.fail(new Error(`Hermes ended with ${status ?? "a signal"}`)));
    this.child.stdin?.on("error", (error) => this.fail(error));
    if (this.child.stdout) createInterface({ input: this.child.stdout }).on("line", (line) => this.hear(line));
    this.call("eval", script);
  }

  /** What became of one of its works, after which it is no more. */
  async did(work: string, given: object = {}): Promise<unknown> {
    this.call("begin", work, given);
    try {
      return await this.result;
    } finally {
      this.child.kill();
      for (const stop of this.running.values()) stop();
    }
  }

  private call(name: string, ...words: unknown[]): void {
    const told = words.map((each) => JSON.stringify(each).replace(/[\u007f-\uffff]/g, escaped));
    this.child.stdin?.write(`void ${name === "eval" ? "(0, eval)" : name}(${told.join(", ")})\n`);
  }

  private hear(line: string): void {
    const at = line.indexOf("\u0001");
    if (at >= 0) this.heed(JSON.parse(line.slice(at + 1)) as Said);
    else if (line.includes("Uncaught")) this.fail(new Error(line));
  }

  private heed(said: Said): void {
    const { op, id, ...more } = said;
    const tell = (answer: unknown): void => {
      this.running.delete(id);
      this.call("told", id, answer);
    };
    switch (op) {
      case "timer": {
        const timer = setTimeout(() => tell(null), Number(more["ms"]));
        this.running.set(id, () => clearTimeout(timer));
        return;
      }
      case "request": {
        const stop = new AbortController();
        this.running.set(id, () => stop.abort());
        void answerOf(more as unknown as Request, stop.signal).then((answer) => this.running.has(id) && tell(answer));
        return;
      }
      case "giveUp":
        this.running.get(Number(more["of"]))?.();
        this.running.delete(Number(more["of"]));
        return;
      case "getItem":
        tell(this.stored.get(String(more["name"])) ?? null);
        return;
      case "setItem":
        this.stored.set(String(more["name"]), String(more["text"]));
        tell(null);
        return;
      case "removeItem":
        this.stored.delete(String(more["name"]));
        tell(null);
        return;
      case "done":
        this.end(more["result"]);
        return;
      default:
        this.fail(new Error(`${op}: ${String(more["why"])}`));
    }
  }
}

interface Request {
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly body?: string;
}

/** The answer; null where there is none. */
async function answerOf({ url, ...init }: Request, signal: AbortSignal): Promise<Answered | null> {
  try {
    const answer = await fetch(url, { ...init, signal });
    const { status, statusText } = answer;
    return { status, statusText, headers: [...answer.headers], text: await answer.text() };
  } catch {
    return null;
  }
}

function escaped(each: string): string {
  return `\\u${each.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

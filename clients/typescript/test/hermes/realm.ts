/** What React Native puts around Hermes: timers, requests, and by the same packages as there, `fetch` and signals. */

import * as signals from "abort-controller";
import { ask, giveUp, lend } from "./host.js";
import { HostRequest } from "./request.js";

/** As the Encoding Standard has it; the engine that is tried has none yet. */
class Utf8 {
  encode(text = ""): Uint8Array {
    const bytes = new Uint8Array(text.length * 3);
    let size = 0;
    for (let at = 0; at < text.length; at += 1) {
      let code = text.codePointAt(at) ?? 0;
      if (code >= 0xd800 && code < 0xe000) code = 0xfffd; // half of a character
      if (code > 0xffff) at += 1;
      const more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
      bytes[size] = more === 0 ? code : ((0xf00 >> (more + 1)) & 0xff) | (code >> (6 * more));
      for (let left = more; left > 0; left -= 1)
        bytes[size + more - left + 1] = 0x80 | ((code >> (6 * (left - 1))) & 0x3f);
      size += more + 1;
    }
    return bytes.slice(0, size);
  }
}

const aside = (): void => undefined;
lend("console", { assert: aside, error: aside, log: aside, warn: aside });
lend("AbortController", signals.AbortController);
lend("AbortSignal", signals.AbortSignal);
lend("TextEncoder", Utf8);
lend("XMLHttpRequest", HostRequest);
// The timers of the program that runs Hermes here do not wait.
lend("setTimeout", (done: (...words: unknown[]) => void, ms = 0, ...words: unknown[]) =>
  ask("timer", { ms }, () => {
    done(...words);
  }),
);
lend("setImmediate", (done: () => void) => ask("timer", { ms: 0 }, done));
lend("clearTimeout", giveUp);

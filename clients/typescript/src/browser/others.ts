/** What clients of one outbox in several tabs and workers of an origin tell each other. */

import type { Others } from "../device.js";

/** Those that were given the same name, in this origin. */
export function othersInOrigin(name: string): Others {
  const channel = new BroadcastChannel(name);
  return {
    tell: (news) => channel.postMessage(news),
    listen: (listener) => {
      channel.onmessage = ({ data }) => listener(data as Parameters<typeof listener>[0]);
    },
    close: () => channel.close(),
  };
}

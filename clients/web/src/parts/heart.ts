/** A heart-rate strap by Web Bluetooth, where the browser has it: what it says is kept like everything that is entered. */

import { newId } from "@healthsync/client";
import { useCallback, useEffect, useRef, useState } from "react";
import type { BrowserOutbox } from "../api/outbox";
import { SOURCE } from "../model/entry";
import { bpmOf } from "../model/strap";
import { isoHere } from "../model/times";

export interface Heart {
  /** Whether this browser could read one. */
  possible: boolean;
  /** Gone: it was connected, and went by itself. */
  state: "off" | "connected" | "gone";
  /** Null while it is connected: it touches nobody. */
  bpm: number | null;
  error: unknown;
  connect: () => Promise<void>;
  stop: () => void;
}

const EVERY_MS = 5_000;

interface Characteristic extends EventTarget {
  value?: DataView;
  startNotifications(): Promise<Characteristic>;
}

interface Device extends EventTarget {
  gatt: {
    connect(): Promise<{
      getPrimaryService(name: string): Promise<{ getCharacteristic(name: string): Promise<Characteristic> }>;
    }>;
    disconnect(): void;
  };
}

interface Bluetooth {
  requestDevice(options: { filters: { services: string[] }[] }): Promise<Device>;
}

function bluetooth(): Bluetooth | undefined {
  return (navigator as Navigator & { bluetooth?: Bluetooth }).bluetooth;
}

export function useHeart(outbox: BrowserOutbox): Heart {
  const [bpm, setBpm] = useState<number | null>(null);
  const [state, setState] = useState<Heart["state"]>("off");
  const [error, setError] = useState<unknown>();
  const device = useRef<Device | null>(null);
  const stop = useCallback(() => {
    const left = device.current;
    device.current = null;
    left?.gatt.disconnect();
    setBpm(null);
    setState("off");
  }, []);
  useEffect(() => stop, [stop]);
  const connect = useCallback(async () => {
    setError(undefined);
    try {
      const found = await bluetooth()?.requestDevice({ filters: [{ services: ["heart_rate"] }] });
      if (found === undefined) return;
      device.current = found;
      found.addEventListener("gattserverdisconnected", () => {
        if (device.current !== found) return; // we have left it
        device.current = null;
        setBpm(null);
        setState("gone");
      });
      const service = await (await found.gatt.connect()).getPrimaryService("heart_rate");
      const told = await (await service.getCharacteristic("heart_rate_measurement")).startNotifications();
      setState("connected");
      let last = 0;
      told.addEventListener("characteristicvaluechanged", () => {
        const rate = told.value === undefined ? null : bpmOf(told.value);
        setBpm(rate);
        if (rate === null || Date.now() - last < EVERY_MS) return;
        last = Date.now();
        void outbox.add([
          { id: newId(), type: "heart_rate", source: SOURCE, start_time: isoHere(last), value: { bpm: rate } },
        ]);
      });
    } catch (failed) {
      stop();
      // Who closes the list of straps has chosen none.
      if (!(failed instanceof DOMException && failed.name === "NotFoundError")) setError(failed);
    }
  }, [outbox, stop]);
  return { possible: bluetooth() !== undefined, state, bpm, error, connect, stop };
}

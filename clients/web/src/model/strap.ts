/** What a heart-rate strap says (Bluetooth's Heart Rate Measurement, 0x2A37). Pure. */

const SIXTEEN_BITS = 0x01;
const KNOWS_CONTACT = 0x04;
const HAS_CONTACT = 0x02;

/** Beats a minute; null where the strap says that it touches nobody, or nothing that a heart does. */
export function bpmOf(said: DataView): number | null {
  if (said.byteLength < 2) return null;
  const flags = said.getUint8(0);
  if ((flags & KNOWS_CONTACT) !== 0 && (flags & HAS_CONTACT) === 0) return null;
  if ((flags & SIXTEEN_BITS) !== 0 && said.byteLength < 3) return null;
  const bpm = (flags & SIXTEEN_BITS) === 0 ? said.getUint8(1) : said.getUint16(1, true);
  return bpm >= 20 && bpm <= 300 ? bpm : null;
}

// Spec §6.6: the header of forwarded packets, challenges and their answers, and what
// a relay derives for a session.

import { xchacha20poly1305 } from '@noble/ciphers/chacha';
import { hmac } from '@noble/hashes/hmac';
import { derive, sha256 } from './keys.mjs';
import { siphash } from './siphash.mjs';
import { Reader, concat, equal, refuse, uint } from './wire.mjs';

// RFC 9000, appendix A.3, for 24 bits.
const expandCounter = (low, largest) => {
  const expected = largest + 1n, window = 1n << 24n;
  const candidate = (expected & ~(window - 1n)) | low;
  if (candidate + window / 2n <= expected && candidate < (1n << 64n) - window) return candidate + window;
  if (candidate > expected + window / 2n && candidate >= window) return candidate - window;
  return candidate;
};

const packetMAC = (key, type, session, counter, length) =>
  siphash(key, concat(uint(type, 1), session, uint(counter, 8), uint(length, 4))).slice(0, 4);

// side has 2 added from the relay.
export const sealPacket = (key, side, session, counter, packet) => {
  const type = 4 | side;
  return concat(uint(type, 1), session, uint(counter & 0xffffffn, 3), packetMAC(key, type, session, counter, packet.length), packet);
};

export const openPacket = (key, side, bytes, largest) => {
  const r = new Reader(bytes);
  const type = r.uint(1), session = r.opaque(8), low = BigInt(r.uint(3)), mac = r.opaque(4);
  if (type !== (4 | side)) refuse('not of this side');
  const packet = r.opaque(bytes.length - r.at);
  const counter = expandCounter(low, largest);
  if (!equal(mac, packetMAC(key, type, session, counter, packet.length))) refuse('forged');
  return { session, counter, packet };
};

const controlled = (key, base, bytes, read) => {
  const r = new Reader(bytes);
  const type = r.uint(1);
  if ((type & ~1) !== base) refuse('another packet');
  const packet = { side: type & 1, session: r.opaque(8), cookie: r.opaque(16), ...read(r) };
  const covered = bytes.slice(0, r.at);
  if (!equal(r.opaque(8), siphash(key, covered))) refuse('forged');
  r.end();
  return packet;
};

export const openChallenge = (key, bytes) => controlled(key, 10, bytes, () => ({}));

export const openAnswer = (key, bytes) =>
  controlled(key, 8, bytes, (r) => ({ sent: r.uint64(), received: r.uint64(), grant: r.opaque(80) }));

export const appendAnswer = (key, a) => {
  const covered = concat(uint(8 | a.side, 1), a.session, a.cookie, uint(a.sent, 8), uint(a.received, 8), a.grant);
  return concat(covered, siphash(key, covered));
};

// §6.6.5
export const sideKey = (noiseKey, session, side) => {
  const secret = derive(noiseKey, undefined, 'SREMP v1 relay forward keys session');
  return hmac(sha256, secret, concat(session, uint(side, 1))).slice(0, 16);
};

export const openGrant = (noiseKey, session, side, grant) => {
  const key = derive(noiseKey, undefined, 'SREMP v1 relay forward keys grant');
  try {
    const r = new Reader(xchacha20poly1305(key, grant.slice(0, 24), concat(session, uint(side, 1))).decrypt(grant.slice(24)));
    const owner = r.opaque(32), made = r.uint64();
    r.end();
    return { owner, made };
  } catch {
    return refuse('not authentic');
  }
};

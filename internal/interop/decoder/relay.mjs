// Spec §6.2 to §6.5: requests and answers of a relay, and what is signed, hashed and
// proven in them.

import { hash, sha256, sign, verify } from './keys.mjs';
import { Reader, concat, isZero, refuse, uint, utf8, vector } from './wire.mjs';

const whole = (read) => (bytes) => {
  const r = new Reader(bytes);
  const value = read(r);
  r.end();
  return value;
};

const array = (length, read) => Array.from({ length }, read);
const within = (n, min, max) => (n < min ? refuse('not in canonical form') : n > max ? refuse('larger than its limit') : n);
const work = (r) => ({ day: r.uint(4), nonce: r.uint64() });
const blobSize = 1 << 20;

// In the order of §6.2.
export const parse = {
  error: whole((r) => ({ code: r.uint(2), text: r.text(0, 255) })),
  auth: whole((r) => ({ owner: r.opaque(32), token: r.vector(0, 255), extensions: r.extensions(), signature: r.opaque(64) })),
  terms: whole((r) => ({
    now: r.uint64(), quotaBytes: r.uint64(), quotaBlobs: r.uint(4), inboxes: r.uint(4), knocks: r.uint(4),
    oneTime: r.uint(4), maxBlob: r.uint(4), ttl: r.uint(4), extensions: r.extensions(),
  })),
  createInbox: whole((r) => {
    const x = { id: r.opaque(32), knock: within(r.uint(1), 0, 1), tokenHash: r.opaque(32), extensions: r.extensions() };
    return x;
  }),
  inboxName: whole((r) => r.opaque(32)),
  allowWork: whole((r) => ({ inbox: r.opaque(32), bits: within(r.uint(1), 0, 32) })),
  workBits: whole((r) => within(r.uint(1), 0, 32)),
  workDeliver: whole((r) => ({ inbox: r.opaque(32), work: work(r), blob: r.vector(1, blobSize) })),
  workBundle: whole((r) => ({ inbox: r.opaque(32), work: work(r) })),
  allowKnock: whole((r) => ({ inbox: r.opaque(32), tokenHash: r.opaque(32), expires: r.uint64() })),
  putPrekeys: whole((r) => {
    const x = { inbox: r.opaque(32), replace: within(r.uint(1), 0, 1), bundle: r.vector(1, 32768), oneTime: [] };
    let last = -1;
    array(within(r.uint(2), 0, 128), () => {
      const id = r.uint(4);
      if (id <= last) refuse('not in canonical form');
      last = id;
      x.oneTime.push({ id, blob: r.vector(1, 4096) });
    });
    return x;
  }),
  prekeysLeft: whole((r) => r.uint(4)),
  takePrekeys: whole((r) => ({ inbox: r.opaque(32), token: r.opaque(32) })),
  prekeys: whole((r) => ({ bundle: r.vector(1, 32768), oneTime: r.vector(0, 4096) })),
  mail: whole((r) => ({ inbox: r.opaque(32), seq: r.uint64(), stored: r.uint64(), blob: r.vector(1, blobSize) })),
  acknowledge: whole((r) => array(within(r.uint(2), 1, 1024), () => r.uint64())),
  deliver: whole((r) => ({ inbox: r.opaque(32), token: r.opaque(32), blob: r.vector(1, blobSize) })),
  receipt: whole((r) => ({ inbox: r.opaque(32), hash: r.opaque(32), stored: r.uint64(), expires: r.uint64(), signature: r.opaque(64) })),
  forwardLeg: whole((r) => {
    const leg = { session: r.opaque(8), side: within(r.uint(1), 0, 1), key: r.opaque(16), ticket: r.vector(0, 32), ticketExpires: r.uint64(), grant: r.opaque(80) };
    if (leg.ticket.length !== (leg.side === 0 ? 32 : 0)) refuse('not in canonical form');
    return leg;
  }),
  joinForward: whole((r) => r.opaque(32)),
};

// §6.3
export const appendAuth = (seed, owner, token, server, binding) => {
  const unsigned = concat(owner, vector(token, 0, 255), vector(new Uint8Array(0), 0, 1 << 15));
  return concat(unsigned, sign(seed, 'SREMP v1 relay owner', concat(server, binding, unsigned)));
};

export const checkAuth = (bytes, server, binding) => {
  const x = parse.auth(bytes);
  verify(x.owner, 'SREMP v1 relay owner', concat(server, binding, bytes.slice(0, -64)), x.signature);
  return x;
};

export const tokenHash = (token) => hash('SREMP v1 delivery token', token);
export const admissionHash = (token) => hash('SREMP v1 admission token', token);

// §6.4
export const checkReceipt = (bytes, server) => {
  const x = parse.receipt(bytes);
  verify(server, 'SREMP v1 relay receipt', bytes.slice(0, -64), x.signature);
  return x;
};

// §6.4.1: how many zero bits the work has.
export const workBits = ({ inbox, work: { day, nonce }, blob }) => {
  const about = blob === undefined ? new Uint8Array(32) : sha256(blob);
  const out = sha256(concat(utf8('SREMP v1 knock work'), inbox, about, uint(day, 4), uint(nonce, 8)));
  let bits = 0;
  for (const b of out) {
    if (b !== 0) return bits + Math.clz32(b) - 24;
    bits += 8;
  }
  return isZero(out) ? 256 : bits;
};

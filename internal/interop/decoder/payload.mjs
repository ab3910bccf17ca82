// Spec §8.1: what a ratchet message says, and its padding.

import { sha256 } from './keys.mjs';
import { Reader, concat, isZero, refuse, utf8 } from './wire.mjs';

const buckets = [1536, 4096, 16384, 65536, 262144];

export const conversation = (a, b) => {
  const [lower, higher] = Buffer.compare(a, b) < 0 ? [a, b] : [b, a];
  return sha256(concat(utf8('SREMP v1 conversation'), lower, higher));
};

// readPayload reads one payload and leaves the reader behind it.
export const readPayload = (r) => {
  if (r.uint(1) !== 1) refuse('another format');
  const p = {
    type: r.uint(1), id: r.opaque(16), conversation: r.opaque(32), device: r.opaque(16), epoch: r.uint(4),
    counter: r.uint64(), sentAt: r.uint64(), body: r.vector(0, (1 << 24) - 1), extensions: r.extensions(),
  };
  if ((p.counter === 0n) !== (p.type >= 0x80)) refuse('not in canonical form');
  return p;
};

export const parsePadded = (bytes) => {
  const r = new Reader(bytes);
  const payload = readPayload(r);
  if (bytes.length !== buckets.find((b) => b >= r.at)) refuse('not its bucket');
  if (!isZero(bytes.slice(r.at))) refuse('another padding');
  return payload;
};

export const pad = (bytes) => {
  const bucket = buckets.find((b) => b >= bytes.length);
  if (bucket === undefined) throw new RangeError(`${bytes.length} bytes`);
  return concat(bytes, new Uint8Array(bucket - bytes.length));
};

// Spec §7: blinded names, sealed records, registrations, lookups, introductions.

import { xchacha20poly1305 } from '@noble/ciphers/chacha';
import { ed25519 } from '@noble/curves/ed25519';
import { sha512 } from '@noble/hashes/sha2';
import { sha3_256 } from '@noble/hashes/sha3';
import { parseRecord, readServer } from './identity.mjs';
import { checkEd25519, derive, sha256, verify } from './keys.mjs';
import { Reader, concat, isZero, refuse, uint, utf8, vector } from './wire.mjs';

const order = 2n ** 252n + 27742317777372353535851937790883648493n;
const little = (bytes) => bytes.reduceRight((sum, b) => (sum << 8n) | BigInt(b), 0n);
const littleBytes = (n) => uint(n, 32).reverse();
const clamp = (bytes) => {
  const out = bytes.slice(0, 32);
  out[0] &= 248;
  out[31] = (out[31] & 63) | 64;
  return little(out);
};

// §7.2.1
export const parameter = (identity, lookup, period) =>
  sha3_256(concat(utf8('SREMP v1 rendezvous blinding'), Uint8Array.of(0), identity, lookup, uint(period, 8), uint(86400, 8)));

// h is a multiple of 8, and A may have a part of small order: times h / 8, times 8.
export const blindWith = (identity, param) => {
  checkEd25519(identity);
  const point = ed25519.ExtendedPoint.fromHex(identity).multiply((clamp(param) / 8n) % order);
  return point.double().double().double().toRawBytes();
};

export const blindedName = (identity, lookup, period) => blindWith(identity, parameter(identity, lookup, period));

export const blindSecretWith = (seed, param) => {
  const expanded = sha512(seed);
  const scalar = (clamp(param) * clamp(expanded)) % order;
  const prefix = sha512(concat(utf8('Derive temporary signing key hash input'), expanded.slice(32))).slice(0, 32);
  return { scalar: littleBytes(scalar), prefix };
};

export const blindSecret = (seed, identity, lookup, period) => blindSecretWith(seed, parameter(identity, lookup, period));

// RFC 8032, section 5.1.6, in a context (§1.4).
export const signBlinded = ({ scalar, prefix }, context, message) => {
  const m = concat(vector(utf8(context), 1, 255), uint(message.length, 4), message);
  const base = ed25519.ExtendedPoint.BASE;
  const a = little(scalar), r = little(sha512(concat(prefix, m))) % order;
  const point = base.multiply(r).toRawBytes(), publicKey = base.multiply(a).toRawBytes();
  const k = little(sha512(concat(point, publicKey, m))) % order;
  return concat(point, littleBytes((r + k * a) % order));
};

// §7.3.2
export const sealingKey = (context, identity, lookup, period) => derive(lookup, concat(identity, uint(period, 8)), context);

export const openPadded = (key, data, sealed, sizes) => {
  const size = sealed.length - 24 - 16;
  if (!sizes.includes(size)) refuse('not a size that is sealed');
  let padded;
  try {
    padded = xchacha20poly1305(key, sealed.slice(0, 24), data).decrypt(sealed.slice(24));
  } catch {
    refuse('not authentic');
  }
  const length = (padded[0] << 8) | padded[1];
  if (2 + length > size || !isZero(padded.slice(2 + length))) refuse('not in canonical form');
  return padded.slice(2, 2 + length);
};

export const sealPadded = (key, nonce, data, plain, size) => {
  const padded = new Uint8Array(size);
  padded.set(concat(uint(plain.length, 2), plain));
  return concat(nonce, xchacha20poly1305(key, nonce, data).encrypt(padded));
};

export const recordSizes = [1024, 4096, 16384];
export const introductionSizes = [4096];

const servers = (r) => {
  const count = r.uint(1);
  if (count > 4) refuse('larger than its limit');
  return Array.from({ length: count }, () => readServer(r));
};

// §7.3.1: what a contact finds under a name, verified.
export const openRecord = (identity, lookup, period, sealed) => {
  const blinded = blindedName(identity, lookup, period);
  const key = sealingKey('SREMP v1 rendezvous record key', identity, lookup, period);
  const bytes = openPadded(key, blinded, sealed, recordSizes);
  const r = new Reader(bytes);
  const x = { issued: r.uint64(), identity: r.vector(1, 8192), relays: servers(r), rendezvous: servers(r), knockInbox: r.vector(0, 32) };
  if (x.knockInbox.length !== 0 && x.knockInbox.length !== 32) refuse('not in canonical form');
  x.extensions = r.extensions();
  const unsigned = bytes.slice(0, r.at);
  x.signature = r.opaque(64);
  r.end();
  verify(blinded, 'SREMP v1 rendezvous record', concat(blinded, uint(period, 8), unsigned), x.signature);
  x.record = parseRecord(x.identity);
  if (Buffer.compare(x.record.identity, identity) !== 0) refuse('another person');
  x.bytes = bytes;
  return x;
};

// §7.4.1
const whole = (read) => (bytes) => {
  const r = new Reader(bytes);
  const value = read(r);
  r.end();
  return value;
};
const status = (r) => {
  const s = r.uint(1);
  return s > 7 ? refuse('not in canonical form') : s;
};
const zeros = (r, n) => isZero(r.opaque(n)) || refuse('not in canonical form');
const flag = (r) => {
  const b = r.uint(1);
  return b > 1 ? refuse('not in canonical form') : b === 1;
};

const found = (r) => {
  const x = { status: status(r), online: flag(r), ttl: r.uint(4), sealed: r.vector(0, 16424) };
  if ((x.status === 0) !== (x.sealed.length > 0)) refuse('not in canonical form');
  if (x.status !== 0 && (x.online || x.ttl > 0)) refuse('not in canonical form');
  zeros(r, Math.max(0, 1064 - x.sealed.length));
  return x;
};

export const parse = {
  register: whole((r) => ({
    request: r.uint(4), blinded: r.opaque(32), period: r.uint64(), ttl: r.uint(4), sealed: r.vector(0, 16424),
    signature: r.opaque(64), extensions: r.extensions(),
  })),
  registered: whole((r) => ({ request: r.uint(4), status: status(r), ttl: r.uint(4), time: r.uint64() })),
  lookup: whole((r) => ({ request: r.uint(4), blinded: r.opaque(32) })),
  found: whole((r) => ({ request: r.uint(4), ...found(r) })),
  introduce: whole((r) => ({ request: r.uint(4), blinded: r.opaque(32), offer: r.opaque(4136) })),
  introduced: whole((r) => {
    const x = { request: r.uint(4), status: status(r) };
    if (x.status === 0) x.answer = r.opaque(4136);
    else zeros(r, 4136);
    return x;
  }),
  offer: whole((r) => ({ introduction: r.opaque(16), blinded: r.opaque(32), offer: r.opaque(4136) })),
  answer: whole((r) => ({ introduction: r.opaque(16), answer: r.opaque(4136) })),
  go: whole((r) => ({ introduction: r.opaque(16), status: status(r) })),
  renew: whole((r) => ({ request: r.uint(4) })),
  subscribe: whole((r) => ({ request: r.uint(4), blinded: r.opaque(32), on: flag(r) })),
  attest: whole((r) => ({ request: r.uint(4), subject: r.opaque(32) })),
};

// §7.4.2
export const registrationMessage = (server, binding, x) =>
  concat(server, binding, x.blinded, uint(x.period, 8), uint(x.ttl, 4), sha256(x.sealed));

export const checkRegistration = (server, binding, bytes) => {
  const x = parse.register(bytes);
  verify(x.blinded, 'SREMP v1 rendezvous registration', registrationMessage(server, binding, x), x.signature);
  return x;
};

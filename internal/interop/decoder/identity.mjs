// Spec §2: ids, servers, records, their order, verification words.

import { argon2id } from '@noble/hashes/argon2';
import { wordlist } from '@scure/bip39/wordlists/english';
import { base32, unbase32 } from './base32.mjs';
import { checkEd25519, checkX25519, derive, hash, publicEd25519, publicX25519, verify } from './keys.mjs';
import { Reader, concat, equal, isZero, refuse, uint, utf8 } from './wire.mjs';

export const lastTime = 253402300799n;

// §2.2
const idText = (context, key) => base32(concat(key, hash(context, key).slice(0, 3)));

export const peerIDText = (key) => idText('SREMP v1 peer checksum', key).match(/.{8}/g).join('-');

export const serverIDText = (key) => idText('SREMP v1 server checksum', key);

export const parsePeerID = (text) => {
  const bytes = unbase32(text.toLowerCase().replace(/[ -]/g, ''));
  if (bytes.length !== 35) refuse('not the length of an id');
  const key = bytes.slice(0, 32);
  checkEd25519(key);
  if (!equal(bytes.slice(32), hash('SREMP v1 peer checksum', key).slice(0, 3))) refuse('wrong checksum');
  return key;
};

// §2.3
export const serverKeys = (seed) => {
  const signing = derive(seed, undefined, 'SREMP v1 server signing');
  const noise = derive(seed, undefined, 'SREMP v1 server noise');
  return { signing, noise, id: publicEd25519(signing), noisePublic: publicX25519(noise) };
};

export const parseCertificate = (bytes) => {
  const r = new Reader(bytes);
  const c = { id: r.opaque(32), noiseKey: r.opaque(32), signature: r.opaque(64) };
  r.end();
  checkEd25519(c.id);
  checkX25519(c.noiseKey);
  verify(c.id, 'SREMP v1 server noise key', c.noiseKey, c.signature);
  return c;
};

export const readServer = (r) => {
  const server = { id: r.opaque(32), host: r.text(1, 253), port: r.uint(2) };
  checkEd25519(server.id);
  if (!/^[A-Za-z0-9.\-_:%]+$/.test(server.host)) refuse('not a host');
  if (server.port === 0) refuse('port 0');
  return server;
};

// §2.5
export const checkName = (name) => {
  const points = [...name];
  if (points.length < 1 || points.length > 40) refuse('a name has 1 to 40 code points');
  if (/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]/u.test(name.replace(/[\u200c\u200d]/g, ''))) {
    refuse('a name with something that is not shown');
  }
  if (/[^\P{Zs} ]/u.test(name) || /^ | $| {2}/.test(name)) refuse('a name with spaces that are not seen');
  if (/^\p{M}/u.test(name)) refuse('a name that starts with a mark');
  points.forEach((point, i) => {
    if (point !== '\u200c' && point !== '\u200d') return;
    const beside = [points[i - 1], points[i + 1]];
    if (beside.some((p) => p === undefined || p.codePointAt(0) < 0x600)) refuse('a joiner between other letters');
  });
};

// §2.4: parses and verifies; nothing of a record is given out before.
export const parseRecord = (bytes) => {
  if (bytes.length > 8192) refuse('larger than its limit');
  const r = new Reader(bytes);
  if (r.uint(1) !== 1) refuse('another format');
  const record = {
    identity: r.opaque(32),
    noise: r.opaque(32),
    agreement: r.opaque(32),
    recovery: r.opaque(32),
    name: r.text(1, 160),
    flags: r.uint(4),
    epoch: r.uint(4),
    version: r.uint64(),
    created: r.uint64(),
    prev: r.opaque(32),
    grant: r.vector(0, 96),
    extensions: r.extensions(),
    bytes,
  };
  const message = bytes.slice(0, r.at);
  record.signature = r.opaque(64);
  r.end();

  checkEd25519(record.identity);
  checkEd25519(record.recovery);
  checkX25519(record.noise);
  checkX25519(record.agreement);
  checkName(record.name);
  if (equal(record.noise, record.agreement)) refuse('one key for two uses');
  if (equal(record.recovery, record.identity)) refuse('one key for two uses');
  if (record.version === 0n) refuse('version 0');
  if (record.created > lastTime) refuse('larger than its limit');
  if (isZero(record.prev) !== (record.epoch === 0 && record.version === 1n)) refuse('wrong predecessor');

  record.signer = record.identity;
  if (record.epoch === 0) {
    if (record.grant.length !== 0) refuse('a grant in epoch 0');
  } else {
    if (record.grant.length !== 96) refuse('no grant');
    record.signer = record.grant.slice(0, 32);
    checkEd25519(record.signer);
    if (equal(record.signer, record.identity) || equal(record.signer, record.recovery)) refuse('one key for two uses');
    verify(record.recovery, 'SREMP v1 epoch grant', concat(record.identity, uint(record.epoch, 4), record.signer), record.grant.slice(32));
  }
  verify(record.signer, 'SREMP v1 identity record', message, record.signature);
  record.hash = hash('SREMP v1 record hash', bytes);
  return record;
};

// §2.6: says what next is to somebody who holds known.
export const follow = (known, next) => {
  if (!equal(known.identity, next.identity) || !equal(known.recovery, next.recovery)) return 'another person';
  if (equal(known.bytes, next.bytes)) return 'the same';
  if (next.epoch !== known.epoch) return next.epoch > known.epoch ? 'newer' : 'older';
  if (!equal(known.signer, next.signer)) return 'fork';
  if (next.version < known.version) return 'older';
  if (next.version === known.version) return 'fork';
  if (next.version === known.version + 1n && !equal(next.prev, known.hash)) return 'fork';
  return 'newer';
};

// §2.9
export const verificationWords = (a, b) => {
  const [lower, higher] = Buffer.compare(a, b) < 0 ? [a, b] : [b, a];
  const out = argon2id(concat(lower, higher), utf8('SREMP v1 verification words'), { t: 3, m: 4096, p: 1, dkLen: 32 });
  return bitsToWords(out, 12);
};

// The first bits, 11 for each word, most significant first.
export const bitsToWords = (bytes, count) => {
  const bits = [...bytes].map((b) => b.toString(2).padStart(8, '0')).join('');
  return Array.from({ length: count }, (_, i) => wordlist[parseInt(bits.slice(11 * i, 11 * i + 11), 2)]);
};

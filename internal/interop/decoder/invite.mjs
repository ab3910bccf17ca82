// Spec §2.8: invites; §2.10: secrets under a passphrase; §2.13: an invite in words.

import { xchacha20poly1305 } from '@noble/ciphers/chacha';
import { argon2id } from '@noble/hashes/argon2';
import { base32, unbase32 } from './base32.mjs';
import { bitsToWords, checkName, lastTime, readServer } from './identity.mjs';
import { checkEd25519, derive, hash } from './keys.mjs';
import { Reader, concat, equal, isZero, refuse, uint, utf8, vector } from './wire.mjs';

const readAddress = (r) => {
  const ip = r.vector(4, 16);
  if (ip.length !== 4 && ip.length !== 16) refuse('not in canonical form');
  const port = r.uint(2);
  if (port === 0) refuse('port 0');
  if (isZero(ip)) refuse('an unspecified address');
  if (ip.length === 4 && (ip[0] >> 4 === 14 || ip.every((b) => b === 255))) refuse('a multicast address');
  if (ip.length === 16 && ip[0] === 255) refuse('a multicast address');
  if (ip.length === 16 && isZero(ip.slice(0, 10)) && ip[10] === 255 && ip[11] === 255) refuse('IPv4 in IPv6 form');
  return { ip, port };
};

const list = (r, max, read) => {
  const count = r.uint(1);
  if (count > max) refuse('larger than its limit');
  return Array.from({ length: count }, () => read(r));
};

const optionalSecret = (r) => {
  const bytes = r.vector(0, 32);
  if (bytes.length !== 0 && bytes.length !== 32) refuse('not in canonical form');
  if (bytes.length === 32 && isZero(bytes)) refuse('zero');
  return bytes;
};

export const parseInvite = (bytes) => {
  if (bytes.length > 4096) refuse('larger than its limit');
  const r = new Reader(bytes);
  if (r.uint(1) !== 1) refuse('another format');
  const invite = {
    peer: r.opaque(32),
    name: r.text(0, 160),
    secret: r.opaque(32),
    lookup: optionalSecret(r),
    expires: r.uint64(),
    addrs: list(r, 16, readAddress),
    relays: list(r, 4, readServer),
    rendezvous: list(r, 4, readServer),
    knockInbox: optionalSecret(r),
    extensions: r.extensions(),
  };
  r.end();
  checkEd25519(invite.peer);
  if (invite.name !== '') checkName(invite.name);
  if (isZero(invite.secret)) refuse('zero');
  if (invite.expires === 0n || invite.expires > lastTime) refuse('not a time');
  return invite;
};

export const appendInvite = (invite) => {
  const server = (s) => concat(s.id, vector(utf8(s.host), 1, 253), uint(s.port, 2));
  const addr = (a) => concat(vector(a.ip, 4, 16), uint(a.port, 2));
  const counted = (items, each) => concat(uint(items.length, 1), ...items.map(each));
  return concat(
    uint(1, 1), invite.peer, vector(utf8(invite.name), 0, 160), invite.secret, vector(invite.lookup, 0, 32),
    uint(invite.expires, 8), counted(invite.addrs, addr), counted(invite.relays, server),
    counted(invite.rendezvous, server), vector(invite.knockInbox, 0, 32),
    vector(concat(...invite.extensions.map((e) => concat(uint(e.type, 2), vector(e.data, 0, 1 << 15)))), 0, 1 << 15),
  );
};

const checksum = (structure) => hash('SREMP v1 invite checksum', structure).slice(0, 4);

export const inviteText = (structure) => `sremp:${base32(concat(structure, checksum(structure)))}`;

export const parseInviteText = (text) => {
  if (text.length > 8192) refuse('larger than its limit');
  const plain = text.toLowerCase().replace(/[ \r\n]/g, '');
  if (!plain.startsWith('sremp:')) refuse('not an invite');
  const bytes = unbase32(plain.slice(6));
  if (bytes.length < 4) refuse('truncated');
  const structure = bytes.slice(0, -4);
  if (!equal(checksum(structure), bytes.slice(-4))) refuse('wrong checksum');
  return { ...parseInvite(structure), structure };
};

export const inviteKey = (invite, use) => derive(invite.secret, invite.peer, `SREMP v1 invite ${use}`);

// §2.10
export const openSealed = (bytes, passphrase, context) => {
  const r = new Reader(bytes);
  if (r.uint(1) !== 1) refuse('another format');
  const time = r.uint(4), memory = r.uint(4), threads = r.uint(1);
  if (time < 1 || time > 64 || threads < 1 || threads > 4) refuse('larger than its limit');
  if (memory < 8 * threads || memory > 1 << 20 || time * memory > 4 << 20) refuse('larger than its limit');
  const salt = r.opaque(16), nonce = r.opaque(24);
  const head = bytes.slice(0, r.at);
  const key = argon2id(utf8(passphrase), salt, { t: time, m: memory, p: threads, dkLen: 32 });
  try {
    return xchacha20poly1305(key, nonce, concat(vector(utf8(context), 1, 255), head)).decrypt(bytes.slice(r.at));
  } catch {
    return refuse('wrong passphrase, or changed');
  }
};

// §2.13
export const codeWords = (ten) => bitsToWords(concat(ten, hash('SREMP v1 invite words', ten).slice(0, 1)), 8);

export const codeKeys = (ten) => {
  const out = argon2id(ten, utf8('SREMP v1 invite words'), { t: 3, m: 1 << 16, p: 1, dkLen: 96 });
  return { inbox: out.slice(0, 32), knock: out.slice(32, 64), key: out.slice(64) };
};

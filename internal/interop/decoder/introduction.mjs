// Spec §8.6: offers and answers that two peers find each other by; §5.20: candidates;
// §5.22: probes and attestations.

import { xchacha20poly1305 } from '@noble/ciphers/chacha';
import { readServer } from './identity.mjs';
import { checkEd25519, derive, sha256, verify } from './keys.mjs';
import { Reader, concat, isZero, refuse, uint, utf8 } from './wire.mjs';

// §5.20.1
const readAddress = (r) => {
  const ip = r.vector(4, 16), port = r.uint(2);
  if ((ip.length !== 4 && ip.length !== 16) || port === 0) refuse('not in canonical form');
  if (ip.length === 16 && isZero(ip.slice(0, 10)) && ip[10] === 255 && ip[11] === 255) refuse('IPv4 in IPv6 form');
  return { ip, port };
};

const readCandidates = (r) => {
  const count = r.uint(1);
  if (count > 32) refuse('larger than its limit');
  return Array.from({ length: count }, () => {
    const kind = r.uint(1);
    if (kind < 1 || kind > 7) refuse('not in canonical form');
    return { kind, ...readAddress(r) };
  });
};

export const parseCandidates = (bytes) => {
  const r = new Reader(bytes);
  const candidates = readCandidates(r);
  r.end();
  return candidates;
};

const open = (key, data, sealed) => {
  if (sealed.length < 24 + 16) refuse('truncated');
  try {
    return xchacha20poly1305(key, sealed.slice(0, 24), data).decrypt(sealed.slice(24));
  } catch {
    return refuse('not authentic');
  }
};

// §8.6
export const parseOffer = (bytes) => {
  const r = new Reader(bytes);
  const offer = { peer: r.opaque(32), secret: r.opaque(32), sentAt: r.uint64(), candidates: readCandidates(r) };
  const count = r.uint(1);
  if (count > 1) refuse('larger than its limit');
  offer.relay = Array.from({ length: count }, () => readServer(r));
  Object.assign(offer, { ticket: r.vector(0, 512), extensions: r.extensions() });
  r.end();
  checkEd25519(offer.peer);
  return offer;
};

export const parseAnswer = (bytes) => {
  const r = new Reader(bytes);
  const answer = { what: r.uint(1), secret: r.opaque(32), candidates: readCandidates(r), joined: r.uint(1), extensions: r.extensions() };
  r.end();
  if (answer.what < 1 || answer.what > 3 || answer.joined > 1) refuse('not in canonical form');
  return answer;
};

export const openOffer = (intro, sealed) => parseOffer(open(intro, utf8('SREMP v1 connection offer'), sealed));

export const openAnswer = (intro, offer, sealed) =>
  parseAnswer(open(intro, concat(utf8('SREMP v1 connection answer'), offer.secret), sealed));

export const probeKey = (offer, answer) => derive(concat(offer.secret, answer.secret), undefined, 'SREMP v1 connection probe key');

// §5.22.8: secret is the offer's or answer's that the attestation travels in.
export const checkAttestation = (bytes, secret) => {
  const r = new Reader(bytes);
  const x = { server: r.opaque(32), address: r.opaque(16), time: r.uint64(), signature: r.opaque(64) };
  r.end();
  verify(x.server, 'SREMP v1 rendezvous attestation', concat(sha256(secret), x.address, uint(x.time, 8)), x.signature);
  return x;
};

// §5.22.1: controlling says whose probe it is.
const directionKey = (key, controlling) => derive(key, undefined, `SREMP v1 probe ${controlling ? 'controlling' : 'controlled'}`);

export const openProbe = (key, controlling, bytes) => {
  if (bytes.length !== 72 || bytes[0] !== 0x10) refuse('not a probe');
  const r = new Reader(open(directionKey(key, controlling), bytes.slice(0, 1), bytes.slice(1)));
  const probe = { kind: r.uint(1), transaction: r.opaque(12) };
  if (probe.kind === 1 || probe.kind === 2) {
    Object.assign(probe, { observed: r.opaque(16), port: r.uint(2) });
  } else if (probe.kind === 3 || probe.kind === 4) { // §5.22.9
    Object.assign(probe, { number: new Reader(probe.transaction).uint64(), long: r.uint(4), stuck: r.uint(1) });
    if (!isZero(r.opaque(13))) refuse('not in canonical form');
  } else {
    refuse('another kind');
  }
  r.end();
  return probe;
};

export const sealProbe = (key, controlling, nonce, kind, transaction, rest) =>
  concat(uint(0x10, 1), nonce, xchacha20poly1305(directionKey(key, controlling), nonce, uint(0x10, 1)).encrypt(concat(uint(kind, 1), transaction, rest)));


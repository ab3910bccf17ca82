// Spec §4.3: one session of the Double Ratchet. Where the protocol draws
// random keys the caller gives them, so that messages can be compared.

import { chacha20poly1305 } from '@noble/ciphers/chacha';
import { checkMLKEM, decapsulate, mlkemPublic } from './agreement.mjs';
import { derive, dh, expandOnly, hash, publicX25519 } from './keys.mjs';
import { Reader, concat, isZero, refuse, uint } from './wire.mjs';

const empty = new Uint8Array(0);
const zeroNonce = new Uint8Array(12);
const prefix = new Uint8Array([1, 1]); // version, kind
const maxAhead = 25000;
const keySize = 1184;
const ciphertextSize = 1088;

// §4.3.2
export const kdfRoot = (root, shared, pq = empty) => {
  const out = derive(concat(shared, pq), root, 'SREMP v1 ratchet root', 64);
  return { root: out.slice(0, 32), chain: out.slice(32) };
};

export const nextHeader = (root) => expandOnly(root, 'SREMP v1 ratchet header');

export const kdfChain = (chain) => ({
  messageKey: hash('', chain, Buffer.from('SREMP v1 message key')),
  chain: hash('', chain, Buffer.from('SREMP v1 chain key')),
});

// §4.3.1
export const appendHeader = (h) =>
  concat(h.dh, uint(h.pn, 4), uint(h.n, 4), uint(h.flags, 1), uint(h.epoch, 4), uint(h.pqKind, 1), uint(h.pqEpoch, 4), uint(h.pqLength, 2));

export const parseHeader = (bytes) => {
  const r = new Reader(bytes);
  const h = {
    dh: r.opaque(32), pn: r.uint(4), n: r.uint(4), flags: r.uint(1), epoch: r.uint(4),
    pqKind: r.uint(1), pqEpoch: r.uint(4), pqLength: r.uint(2),
  };
  r.end();
  const length = [0, keySize, ciphertextSize][h.pqKind];
  if (h.flags > 1 || length !== h.pqLength || (h.pqKind === 0) !== (h.pqEpoch === 0)) refuse('not in canonical form');
  return h;
};

const unseal = (key, nonce, ad, sealed) => {
  try {
    return chacha20poly1305(key, nonce, ad).decrypt(sealed);
  } catch {
    return null;
  }
};

// openHeader gives the header of a ratchet message, or null under another key.
export const openHeader = (message, headerKey) => {
  const r = new Reader(message);
  if (r.uint(1) !== 1 || r.uint(1) !== 1) refuse('not a ratchet message');
  const sealed = r.opaque(68);
  const body = r.opaque(message.length - r.at);
  if (body.length < 16) refuse('truncated');
  const bytes = unseal(headerKey, body.slice(-16, -4), prefix, sealed);
  return bytes && { header: parseHeader(bytes), bytes, body };
};

// openBody gives what is inside, a vector before the plaintext (§4.3.4).
export const openBody = (sessionID, { bytes, body }, messageKey) =>
  unseal(messageKey, zeroNonce, concat(sessionID, prefix, bytes), body) ?? refuse('not authentic');

export class Session {
  // lower: whether this device is the lower of the two (§4.3.4).
  constructor({ sessionID, root, lower }) {
    Object.assign(this, { sessionID, root, lower, sent: 0, expected: 0, pn: 0, epoch: 0, pqStepEpoch: 0 });
    this.skipped = []; // of the receiving chain: {n, key}
    this.older = []; // {header, skipped}
  }

  static initiator({ sessionID, root, header, signedPrekey, ratchetKey, lower }) {
    const s = new Session({ sessionID, root, lower });
    s.nextSendHeader = header;
    s.remote = signedPrekey;
    s.stepSending(ratchetKey);
    return s;
  }

  static responder({ sessionID, root, header, signedPrekeyPrivate, lower }) {
    const s = new Session({ sessionID, root, lower });
    s.nextReceiveHeader = header;
    s.own = signedPrekeyPrivate;
    return s;
  }

  needsStep() {
    return this.sendChain === undefined;
  }

  stepSending(ratchetKey) {
    this.own = ratchetKey;
    this.sendHeader = this.nextSendHeader;
    this.nextReceiveHeader = nextHeader(this.root);
    let pq = empty;
    this.pqStepEpoch = 0;
    if (this.pq?.phase === 'agreed') {
      pq = this.pq.secret;
      this.pqStepEpoch = ++this.epoch;
      this.pq = undefined;
    }
    ({ root: this.root, chain: this.sendChain } = kdfRoot(this.root, dh(this.own, this.remote), pq));
    this.pn = this.sent;
    this.sent = 0;
  }

  offers(epoch) {
    return (epoch % 2 === 0) === this.lower;
  }

  offer(seed) {
    if (!this.offers(this.epoch + 1) || this.pq) throw new Error('not ours to offer');
    this.pq = { phase: 'offered', seed };
    return { kind: 1, epoch: this.epoch + 1, bytes: mlkemPublic(seed) };
  }

  // answer: what encapsulation gave for the key that arrived.
  answer({ secret, ciphertext }) {
    if (this.pq?.phase !== 'asked') throw new Error('nothing to answer');
    this.pq = { phase: 'answered', secret };
    return { kind: 2, epoch: this.epoch + 1, bytes: ciphertext };
  }

  // encrypt: a ratchet key is needed if needsStep; vector as offer and answer give it.
  encrypt(plaintext, { ratchetKey, vector, flags = 0 } = {}) {
    if (this.needsStep()) this.stepSending(ratchetKey);
    const { messageKey, chain } = kdfChain(this.sendChain);
    const header = appendHeader({
      dh: publicX25519(this.own), pn: this.pn, n: this.sent, flags, epoch: this.pqStepEpoch,
      pqKind: vector?.kind ?? 0, pqEpoch: vector?.epoch ?? 0, pqLength: vector?.bytes.length ?? 0,
    });
    let inside = plaintext;
    if (vector) {
      const rest = plaintext.length - vector.bytes.length;
      if (rest < 0 || !isZero(plaintext.slice(rest))) throw new Error('no room for the vector');
      inside = concat(vector.bytes, plaintext.slice(0, rest));
    }
    const body = chacha20poly1305(messageKey, zeroNonce, concat(this.sessionID, prefix, header)).encrypt(inside);
    const sealed = chacha20poly1305(this.sendHeader, body.slice(-16, -4), prefix).encrypt(header);
    this.sendChain = chain;
    this.sent++;
    return concat(prefix, sealed, body);
  }

  // decrypt changes nothing unless it succeeds: it works on a copy.
  decrypt(message) {
    const next = Object.assign(Object.create(Session.prototype), this, {
      skipped: [...this.skipped], older: this.older.map((o) => ({ ...o, skipped: [...o.skipped] })),
    });
    const plaintext = next.tryDecrypt(message);
    Object.assign(this, next);
    return plaintext;
  }

  tryDecrypt(message) {
    let found = this.receiveHeader && openHeader(message, this.receiveHeader);
    if (found) {
      const key = found.header.n < this.expected ? this.take(this.skipped, found.header.n) : this.advance(found.header.n);
      return this.open(found, key, false);
    }
    found = this.sendChain !== undefined || this.own !== undefined ? openHeader(message, this.nextReceiveHeader) : null;
    if (found) {
      if (found.header.pn < this.expected) refuse('fewer messages than were received');
      this.stepReceiving(found.header);
      return this.open(found, this.advance(found.header.n), true);
    }
    for (const old of this.older) {
      found = openHeader(message, old.header);
      if (found) return this.open(found, this.take(old.skipped, found.header.n), false);
    }
    return refuse('not for this session');
  }

  take(skipped, n) {
    const i = skipped.findIndex((k) => k.n === n);
    if (i < 0) refuse('its key was used, or never kept');
    return skipped.splice(i, 1)[0].key;
  }

  // advance gives the key of message n of the receiving chain and keeps those before it.
  advance(n) {
    if (n - this.expected > maxAhead) refuse('too far ahead');
    for (;;) {
      const { messageKey, chain } = kdfChain(this.receiveChain);
      this.receiveChain = chain;
      if (this.expected++ === n) return messageKey;
      this.skipped.push({ n: this.expected - 1, key: messageKey });
      if (this.skipped.length > 1000) this.skipped.shift();
    }
  }

  stepReceiving(header) {
    if (header.pn - this.expected > maxAhead) refuse('too far ahead');
    if (this.receiveChain) {
      if (header.pn > this.expected) {
        const last = this.advance(header.pn - 1);
        this.skipped.push({ n: header.pn - 1, key: last });
      }
      if (this.skipped.length > 0) this.older.push({ header: this.receiveHeader, skipped: this.skipped });
    }
    let pq = empty;
    if (header.epoch !== 0) {
      if (this.pq?.phase !== 'answered' || header.epoch !== this.epoch + 1) refuse('an epoch that was not answered');
      pq = this.pq.secret;
      this.epoch++;
      this.pq = undefined;
    }
    this.receiveHeader = this.nextReceiveHeader;
    this.nextSendHeader = nextHeader(this.root);
    ({ root: this.root, chain: this.receiveChain } = kdfRoot(this.root, dh(this.own, header.dh), pq));
    this.remote = header.dh;
    this.expected = 0;
    this.skipped = [];
    // §4.3.3: the sending chain ends at once, the next begins with our next message.
    this.sendChain = undefined;
    this.own = undefined;
  }

  open(found, key, step) {
    const { header } = found;
    const inside = openBody(this.sessionID, found, key);
    if (!step && header.epoch > this.epoch) refuse('an epoch that was not mixed');
    if (header.pqLength > inside.length) refuse('no room for its vector');
    this.takeVector(header, inside.slice(0, header.pqLength));
    return concat(inside.slice(header.pqLength), new Uint8Array(header.pqLength));
  }

  takeVector({ pqKind, pqEpoch }, vector) {
    if (pqKind === 0) return;
    const theirs = !this.offers(pqEpoch);
    if (pqEpoch > this.epoch + 1 || theirs !== (pqKind === 1)) refuse('a vector against the rules');
    if (pqEpoch <= this.epoch) return; // late
    if (pqKind === 1) {
      checkMLKEM(vector);
      if (this.pq === undefined) this.pq = { phase: 'asked', key: vector };
    } else if (this.pq?.phase === 'offered') {
      this.pq = { phase: 'agreed', secret: decapsulate(this.pq.seed, vector) };
    }
  }
}

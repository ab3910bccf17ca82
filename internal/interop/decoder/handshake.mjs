// Spec §3: Noise XX, IK and NX (revision 34) as both of its sides see them.

import { chacha20poly1305 } from '@noble/ciphers/chacha';
import { blake2s } from '@noble/hashes/blake2s';
import { hmac } from '@noble/hashes/hmac';
import { parseCertificate, parseRecord } from './identity.mjs';
import { derive, dh, publicX25519 } from './keys.mjs';
import { Reader, concat, equal, refuse, uint, utf8, vector } from './wire.mjs';

const empty = new Uint8Array(0);

// §3.2 and §3.3: the tokens of each pattern; pre names what both know before.
export const patterns = {
  XX: { number: 1, pre: [], messages: [['e'], ['e', 'ee', 's', 'es'], ['s', 'se']] },
  IK: { number: 2, pre: ['rs'], messages: [['e', 'es', 's', 'ss'], ['e', 'ee', 'se']] },
  NX: { number: 3, pre: [], messages: [['e'], ['e', 'ee', 's', 'es']] },
};

export const prologue = (pattern, alpn, exporter) =>
  concat(vector(utf8('SREMP v1 handshake'), 1, 255), uint(1, 2), vector(utf8(alpn), 1, 255), uint(patterns[pattern].number, 1), exporter);

const aead = (key, n, ad) => {
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setBigUint64(4, BigInt(n), true);
  return chacha20poly1305(key, nonce, ad);
};

const open = (key, n, ad, sealed) => {
  try {
    return aead(key, n, ad).decrypt(sealed);
  } catch {
    return refuse('not authentic');
  }
};

const noiseHKDF = (ck, material, count) => {
  const temp = hmac(blake2s, ck, material);
  const out = [];
  for (let i = 1; i <= count; i++) out.push(hmac(blake2s, temp, concat(out.at(-1) ?? empty, uint(i, 1))));
  return out;
};

// One side of a handshake; fixed keys, so that its messages are those of the vectors.
export class Side {
  constructor({ pattern, initiator, prologue, staticKey, ephemeral, remoteStatic }) {
    Object.assign(this, { pattern: patterns[pattern], initiator, s: staticKey, e: ephemeral, rs: remoteStatic });
    const name = utf8(`Noise_${pattern}_25519_ChaChaPoly_BLAKE2s`);
    this.h = name.length <= 32 ? concat(name, new Uint8Array(32 - name.length)) : blake2s(name);
    this.ck = this.h;
    this.n = 0;
    this.turn = 0;
    this.mixHash(prologue);
    if (this.pattern.pre.includes('rs')) this.mixHash(initiator ? remoteStatic : publicX25519(staticKey));
  }

  mixHash(data) {
    this.h = blake2s(concat(this.h, data));
  }

  mixKey(material) {
    [this.ck, this.k] = noiseHKDF(this.ck, material, 2);
    this.n = 0;
  }

  seal(plain) {
    const sealed = this.k ? aead(this.k, this.n++, this.h).encrypt(plain) : plain;
    this.mixHash(sealed);
    return sealed;
  }

  open(sealed) {
    const plain = this.k ? open(this.k, this.n++, this.h, sealed) : sealed;
    this.mixHash(sealed);
    return plain;
  }

  // In es and se the first letter is the initiator's key, the second the responder's.
  mixDH(token) {
    const [mine, theirs] = this.initiator ? token : [token[1], token[0]];
    this.mixKey(dh(mine === 'e' ? this.e : this.s, theirs === 'e' ? this.re : this.rs));
  }

  write(payload) {
    const parts = this.pattern.messages[this.turn++].map((token) => {
      switch (token) {
        case 'e':
          this.mixHash(publicX25519(this.e));
          return publicX25519(this.e);
        case 's':
          return this.seal(publicX25519(this.s));
        default:
          this.mixDH(token);
          return empty;
      }
    });
    return concat(...parts, this.seal(payload));
  }

  read(message) {
    if (message.length > 16384) refuse('larger than its limit');
    const r = new Reader(message);
    for (const token of this.pattern.messages[this.turn++]) {
      switch (token) {
        case 'e':
          this.re = r.opaque(32);
          this.mixHash(this.re);
          break;
        case 's':
          this.rs = this.open(r.opaque(this.k ? 48 : 32));
          break;
        default:
          this.mixDH(token);
      }
    }
    return this.open(r.opaque(message.length - r.at));
  }

  // §3.5: when all messages of the Noise pattern are done.
  keys() {
    const [k1, k2] = noiseHKDF(this.ck, empty, 2);
    const key = (info) => derive(concat(k1, k2), this.h, info);
    return { confirmation: key('SREMP v1 handshake confirmation'), channel: key('SREMP v1 channel key') };
  }

  writeConfirmation(payload) {
    return aead(this.keys().confirmation, 0, utf8('SREMP v1 handshake confirmation')).encrypt(payload);
  }

  readConfirmation(message) {
    return open(this.keys().confirmation, 0, utf8('SREMP v1 handshake confirmation'), message);
  }
}

// §3.3
export const parsePayload = (bytes) => {
  const r = new Reader(bytes);
  const payload = { credential: r.vector(0, (1 << 14) - 1), extensions: r.extensions() };
  r.end();
  return payload;
};

export const appendPayload = (credential) => concat(vector(credential, 0, (1 << 14) - 1), uint(0, 2));

// §3.4, checks 4 and 7: the credential is of the static key that Noise authenticated.
export const checkRecord = (credential, staticKey) => {
  const record = parseRecord(credential);
  if (!equal(record.noise, staticKey)) refuse('a record of another key');
  return record;
};

export const checkCertificate = (credential, staticKey, serverID) => {
  const certificate = parseCertificate(credential);
  if (!equal(certificate.noiseKey, staticKey)) refuse('a certificate of another key');
  if (!equal(certificate.id, serverID)) refuse('another server');
  return certificate;
};

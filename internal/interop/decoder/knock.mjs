// Spec §8.3: a knock, sealed by HPKE (RFC 9180, base mode) with the KEM
// MLKEM768-X25519, and the sealed prekeys that it is made from.

import { chacha20poly1305 } from '@noble/ciphers/chacha';
import { x25519 } from '@noble/curves/ed25519';
import { expand, extract } from '@noble/hashes/hkdf';
import { sha3_256, shake256 } from '@noble/hashes/sha3';
import { ml_kem768 } from '@noble/post-quantum/ml-kem';
import { sha256 } from './keys.mjs';
import { Reader, concat, refuse, uint, utf8 } from './wire.mjs';

const empty = new Uint8Array(0);
const suite = concat(utf8('HPKE'), uint(0x647a, 2), uint(0x0001, 2), uint(0x0003, 2));

// A private key is a seed of 32 bytes.
const expandKey = (seed) => {
  const out = shake256(seed, { dkLen: 96 });
  const x = out.slice(64);
  return { kem: ml_kem768.keygen(out.slice(0, 64)), x, xPublic: x25519.getPublicKey(x) };
};

export const knockPublic = (seed) => {
  const { kem, xPublic } = expandKey(seed);
  return concat(kem.publicKey, xPublic);
};

const decapsulate = (seed, enc) => {
  const { kem, x, xPublic } = expandKey(seed);
  const xCiphertext = enc.slice(1088);
  return sha3_256(concat(
    ml_kem768.decapsulate(enc.slice(0, 1088), kem.secretKey), x25519.getSharedSecret(x, xCiphertext),
    xCiphertext, xPublic, utf8('\\.//^\\')));
};

const labeledExtract = (salt, label, material) =>
  extract(sha256, concat(utf8('HPKE-v1'), suite, utf8(label), material), salt);

const labeledExpand = (key, label, info, length) =>
  expand(sha256, key, concat(uint(length, 2), utf8('HPKE-v1'), suite, utf8(label), info), length);

export const openKnock = (seed, sealed) => {
  const r = new Reader(sealed);
  const enc = r.opaque(1120);
  const ciphertext = r.opaque(sealed.length - r.at);
  const context = concat(uint(0, 1), labeledExtract(empty, 'psk_id_hash', empty), labeledExtract(empty, 'info_hash', utf8('SREMP v1 knock')));
  const secret = labeledExtract(decapsulate(seed, enc), 'secret', empty);
  const key = labeledExpand(secret, 'key', context, 32);
  const nonce = labeledExpand(secret, 'base_nonce', context, 12);
  try {
    return chacha20poly1305(key, nonce, empty).decrypt(ciphertext);
  } catch {
    return refuse('not authentic');
  }
};

export const parseKnock = (bytes) => {
  const r = new Reader(bytes);
  const knock = { token: r.opaque(32), message: r.vector(1, (1 << 24) - 1) };
  r.end();
  return knock;
};

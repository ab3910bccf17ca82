// Spec §2.1: which keys are keys, and signatures in a context; §1.4: derived keys.

import { ed25519, x25519 } from '@noble/curves/ed25519';
import { expand, hkdf } from '@noble/hashes/hkdf';
import { sha256 } from '@noble/hashes/sha2';
import { concat, isZero, refuse, uint, utf8, vector } from './wire.mjs';

export const hash = (context, ...parts) => sha256(concat(utf8(context), ...parts));

export const derive = (secret, salt, info, length = 32) => hkdf(sha256, secret, salt, info, length);

export const expandOnly = (key, info) => expand(sha256, key, info, 32);

export const checkEd25519 = (key) => {
  try {
    const point = ed25519.ExtendedPoint.fromHex(key);
    if (!point.isSmallOrder()) return;
  } catch {
    // not a point, or not in its only encoding
  }
  refuse('not an Ed25519 key');
};

const prime = (1n << 255n) - 19n;

// dh gives the shared secret. RFC 7748 reduces a number over the prime, ignores
// the top bit, and gives zeros for a point of small order: all three are refused.
export const dh = (privateKey, publicKey) => {
  checkX25519(publicKey);
  return x25519.getSharedSecret(privateKey, publicKey);
};

export const checkX25519 = (key) => {
  const value = key.reduceRight((sum, b) => sum * 256n + BigInt(b), 0n);
  if (value >= prime) refuse('not an X25519 key');
  try {
    // Any private key is a multiple of the order of the small subgroup.
    if (!isZero(x25519.getSharedSecret(utf8('any 32 bytes will do for this...'), key))) return;
  } catch {
    // zeros
  }
  refuse('not an X25519 key');
};

export const publicX25519 = (privateKey) => x25519.getPublicKey(privateKey);

export const publicEd25519 = (seed) => ed25519.getPublicKey(seed);

const signed = (context, message) =>
  concat(vector(utf8(context), 1, 255), uint(message.length, 4), message);

export const sign = (seed, context, message) => ed25519.sign(signed(context, message), seed);

export const verify = (key, context, message, signature) => {
  checkEd25519(key);
  if (!ed25519.verify(signature, signed(context, message), key, { zip215: false })) {
    refuse(`bad signature: ${context}`);
  }
};

export { sha256 };

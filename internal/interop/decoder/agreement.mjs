// Spec §4.1 and §4.2: prekeys and the agreement, as the responder sees it.

import { ml_kem768 } from '@noble/post-quantum/ml-kem';
import { parseRecord } from './identity.mjs';
import { checkX25519, derive, dh, hash, verify } from './keys.mjs';
import { Reader, concat, equal, refuse } from './wire.mjs';

// FIPS 203, section 7.2: every coefficient of the vector is under q.
export const checkMLKEM = (key) => {
  if (key.length !== 1184) refuse('not an ML-KEM-768 key');
  for (let i = 0; i < 1152; i += 3) {
    const low = key[i] | ((key[i + 1] & 15) << 8);
    const high = (key[i + 1] >> 4) | (key[i + 2] << 4);
    if (low >= 3329 || high >= 3329) refuse('not an ML-KEM-768 key');
  }
};

export const mlkemPublic = (seed) => ml_kem768.keygen(seed).publicKey;

export const decapsulate = (seed, ciphertext) => ml_kem768.decapsulate(ciphertext, ml_kem768.keygen(seed).secretKey);

// §4.1.1; the caller judges expiry and serial.
export const parseBundle = (bytes) => {
  if (bytes.length > 16384) refuse('larger than its limit');
  const r = new Reader(bytes);
  if (r.uint(1) !== 1) refuse('another format');
  const bundle = {
    record: parseRecord(r.vector(1, 8192)),
    device: r.opaque(16),
    versions: [...r.vector(1, 16)],
    capabilities: r.uint(4),
    serial: r.uint64(),
    expiry: r.uint64(),
    agreement: r.opaque(32),
    signedPrekeyID: r.uint(4),
    signedPrekey: r.opaque(32),
    lastResortID: r.uint(4),
    lastResort: r.opaque(1184),
    extensions: r.extensions(),
  };
  const message = bytes.slice(0, r.at);
  bundle.signature = r.opaque(64);
  r.end();
  if (bundle.versions.some((v, i) => i > 0 && v <= bundle.versions[i - 1])) refuse('not in canonical form');
  if (!equal(bundle.agreement, bundle.record.agreement)) refuse('not the agreement key of the record');
  checkX25519(bundle.signedPrekey);
  checkMLKEM(bundle.lastResort);
  verify(bundle.record.signer, 'SREMP v1 prekey bundle', message, bundle.signature);
  bundle.hash = hash('SREMP v1 prekey bundle hash', bytes);
  return bundle;
};

// §4.1.2
export const parseOneTime = (bytes, bundle) => {
  const r = new Reader(bytes);
  if (r.uint(1) !== 1) refuse('another format');
  const pair = { device: r.opaque(16), id: r.uint(4), expiry: r.uint64(), x25519: r.opaque(32), mlkem: r.opaque(1184) };
  const message = bytes.slice(0, r.at);
  pair.signature = r.opaque(64);
  r.end();
  if (pair.id === 0) refuse('not in canonical form');
  if (!equal(pair.device, bundle.device)) refuse('of another device');
  checkX25519(pair.x25519);
  checkMLKEM(pair.mlkem);
  verify(bundle.record.signer, 'SREMP v1 one-time prekey', message, pair.signature);
  pair.hash = hash('SREMP v1 one-time prekey hash', bytes);
  return pair;
};

// §4.2.1
export const parseInitial = (bytes) => {
  const r = new Reader(bytes);
  if (r.uint(1) !== 1 || r.uint(1) !== 2) refuse('not an initial message');
  return { agreement: r.vector(1, 14336), message: r.opaque(bytes.length - r.at) };
};

export const parseAgreement = (bytes) => {
  const r = new Reader(bytes);
  const agreement = {
    version: r.uint(1),
    capabilities: r.uint(4),
    record: parseRecord(r.vector(1, 8192)),
    device: r.opaque(16),
    created: r.uint64(),
    serial: r.uint64(),
    oneTime: r.uint(4),
    psk: r.uint(1),
    ephemeral: r.opaque(32),
    ciphertext: r.opaque(1088),
    extensions: r.extensions(),
    bytes,
  };
  r.end();
  if (agreement.psk > 1) refuse('not in canonical form');
  checkX25519(agreement.ephemeral);
  return agreement;
};

// §4.2.2 to §4.2.4. prekeys holds the responder's private halves: agreementKey,
// signedPrekey, lastResortSeed, oneTimeKey, oneTimeSeed.
export const respond = ({ agreement, bundle, oneTime, psk, prekeys }) => {
  if (agreement.version !== Math.max(...bundle.versions)) refuse('not the highest common version');
  if ((agreement.capabilities & ~bundle.capabilities) !== 0) refuse('capabilities that were not on offer');
  if (agreement.serial !== bundle.serial) refuse('another bundle');
  if (agreement.oneTime !== (oneTime?.id ?? 0)) refuse('another one-time pair');
  if (agreement.psk !== (psk ? 1 : 0)) refuse('another way in');

  const zero = new Uint8Array(32);
  const transcript = hash('SREMP v1 agreement transcript',
    agreement.record.identity, agreement.device, bundle.record.identity, bundle.device,
    agreement.record.hash, bundle.hash, oneTime?.hash ?? zero,
    hash('SREMP v1 agreement hash', agreement.bytes));
  const secret = concat(
    new Uint8Array(32).fill(0xff),
    dh(prekeys.signedPrekey, agreement.record.agreement),
    dh(prekeys.agreementKey, agreement.ephemeral),
    dh(prekeys.signedPrekey, agreement.ephemeral),
    oneTime ? dh(prekeys.oneTimeKey, agreement.ephemeral) : new Uint8Array(0),
    decapsulate(oneTime ? prekeys.oneTimeSeed : prekeys.lastResortSeed, agreement.ciphertext),
    psk ?? zero);
  const keys = derive(secret, transcript, 'SREMP v1 agreement keys', 64);
  return { transcript, root: keys.slice(0, 32), header: keys.slice(32), sessionID: transcript.slice(0, 16) };
};

export const devicePair = (own, ownDevice, remote, remoteDevice) =>
  hash('SREMP v1 device pair', own, ownDevice, remote, remoteDevice).slice(0, 16);

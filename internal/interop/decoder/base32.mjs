// RFC 4648 base32, lower case, without padding, and only in its one encoding.

import { refuse } from './wire.mjs';

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';

export const base32 = (bytes) => {
  const bits = [...bytes].map((b) => b.toString(2).padStart(8, '0')).join('');
  return (bits.match(/.{1,5}/g) ?? []).map((five) => alphabet[parseInt(five.padEnd(5, '0'), 2)]).join('');
};

export const unbase32 = (text) => {
  const bits = [...text].map((c) => {
    const value = alphabet.indexOf(c);
    if (value < 0) refuse(`not a letter of base32: ${c}`);
    return value.toString(2).padStart(5, '0');
  }).join('');
  const bytes = new Uint8Array((bits.match(/.{8}/g) ?? []).map((eight) => parseInt(eight, 2)));
  if (base32(bytes) !== text) refuse('not in canonical form');
  return bytes;
};

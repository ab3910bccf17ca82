// SipHash-2-4 (Aumasson and Bernstein), which spec §6.6 uses.

const mask = (1n << 64n) - 1n;
const rotate = (x, n) => ((x << n) | (x >> (64n - n))) & mask;
const little = (bytes) => bytes.reduceRight((sum, b) => (sum << 8n) | BigInt(b), 0n);

// siphash gives 8 bytes, little-endian.
export const siphash = (key, message) => {
  const k0 = little(key.slice(0, 8)), k1 = little(key.slice(8, 16));
  let a = k0 ^ 0x736f6d6570736575n, b = k1 ^ 0x646f72616e646f6dn;
  let c = k0 ^ 0x6c7967656e657261n, d = k1 ^ 0x7465646279746573n;
  const round = () => {
    a = (a + b) & mask; b = rotate(b, 13n) ^ a; a = rotate(a, 32n);
    c = (c + d) & mask; d = rotate(d, 16n) ^ c;
    a = (a + d) & mask; d = rotate(d, 21n) ^ a;
    c = (c + b) & mask; b = rotate(b, 17n) ^ c; c = rotate(c, 32n);
  };
  const compress = (word) => {
    d ^= word;
    round(); round();
    a ^= word;
  };
  const whole = message.length - message.length % 8;
  for (let i = 0; i < whole; i += 8) compress(little(message.slice(i, i + 8)));
  compress(little(message.slice(whole)) | BigInt(message.length & 255) << 56n);
  c ^= 0xffn;
  round(); round(); round(); round();
  const sum = a ^ b ^ c ^ d;
  return Uint8Array.from({ length: 8 }, (_, i) => Number((sum >> BigInt(8 * i)) & 0xffn));
};

/**
 * Points of the curve BN254 (AMCL's, `BN254` of ISO/IEC 15946-5), as AnonCreds objects have them: each coordinate is written as how often the modulus fits in it at
 * most, and a number in hexadecimal times 2^280 (Montgomery form). G1 has three coordinates, G2 three pairs; both are projective, so one point has many texts.
 */

const MODULUS = 0x2523648240000001ba344d80000000086121000000000013a700000000000013n;
const MONTGOMERY = 1n << 280n;
/** How often the modulus may fit in a number that the curve's arithmetic is given: its own results stay far below. */
const MOST = 1n << 24n;

const mod = (number: bigint): bigint => ((number % MODULUS) + MODULUS) % MODULUS;

/** The inverse modulo the curve's modulus, by Euclid's algorithm; undefined for zero. */
function inverse(number: bigint): bigint | undefined {
  let [r, next] = [MODULUS, mod(number)];
  let [t, factor] = [0n, 1n];
  while (next !== 0n) {
    const quotient = r / next;
    [r, next] = [next, r - quotient * next];
    [t, factor] = [factor, t - quotient * factor];
  }
  return r === 1n ? mod(t) : undefined;
}

const FROM_MONTGOMERY = inverse(MONTGOMERY)!;

/** The coordinates of a point; undefined where a number is beyond its bound. */
function coordinates(text: string, count: number): bigint[] | undefined {
  const parts = text.split(' ');
  if (parts.length !== 2 * count) return undefined;
  const numbers: bigint[] = [];
  for (let at = 0; at < parts.length; at += 2) {
    const most = BigInt(parts[at]!);
    const number = BigInt(`0x${parts[at + 1]}`);
    if (most === 0n || most > MOST || number > most * MODULUS) return undefined;
    numbers.push(mod(number * FROM_MONTGOMERY));
  }
  return numbers;
}

const bytesOf = (number: bigint): Buffer => Buffer.from(number.toString(16).padStart(64, '0'), 'hex');
/** Both groups have 128 bytes, which a point of G1 does not fill. */
const SIZE = 128;

/**
 * The bytes by which a point of G1 enters the challenge of a proof: 4, x, y, zeros.
 * @returns undefined for no point, or the one at infinity
 */
export function bytesOfG1(text: string): Buffer | undefined {
  const [x, y, z] = coordinates(text, 3) ?? [];
  const scale = z === undefined ? undefined : inverse(z);
  if (scale === undefined) return undefined;
  return Buffer.concat([Buffer.from([4]), bytesOf(mod(x! * scale)), bytesOf(mod(y! * scale)), Buffer.alloc(SIZE - 65)]);
}

/**
 * The bytes by which a point of G2 enters the challenge of a proof: x and y, of which each has two numbers.
 * @returns undefined for no point, or the one at infinity
 */
export function bytesOfG2(text: string): Buffer | undefined {
  const numbers = coordinates(text, 6);
  if (!numbers) return undefined;
  const [xa, xb, ya, yb, za, zb] = numbers as [bigint, bigint, bigint, bigint, bigint, bigint];
  // 1 / (a + bi) = (a - bi) / (a² + b²)
  const norm = inverse(za * za + zb * zb);
  if (norm === undefined) return undefined;
  const over = (a: bigint, b: bigint): bigint[] => [mod((a * za + b * zb) * norm), mod((b * za - a * zb) * norm)];
  return Buffer.concat([...over(xa, xb), ...over(ya, yb)].map(bytesOf));
}

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { AppError } from '../../errors.ts';
import type { ObjectType } from '../../ports/ledger.ts';
import { unpackObject } from './codec.ts';
import { canonical, logBox, parseObjectId, resourceBox, segmentBox } from './ids.ts';
import { decodeStatus, encodeStatus, entriesOf, sameStatus, shownStatus, statusOf } from './status-codec.ts';
import { openLog, stateAt } from './status-log.ts';

/** The vectors of docs/StatusLog.md, and what no vector can show: that every status comes back equal. */

interface LogVector {
  what: string;
  size: number;
  head: string;
  segments: Record<string, string>;
}
interface ObjectVector {
  what: string;
  type: ObjectType;
  id: string;
  box: string;
  value: string;
  parts?: { box: string; value: string }[];
  canonical?: string;
  error?: string;
}
interface Expected {
  at?: number;
  revoked?: string;
  accumulator?: string;
  time?: number;
  round?: number;
  next?: number;
  error?: string;
}
const vectors: {
  names: Record<string, string>;
  objects: ObjectVector[];
  sets: { size: number; revoked: string; bitmap: string; deflatedBitmap: string; gaps: string; deflatedGaps: string }[];
  accumulators: { text: string; form: 'packed' | 'deflated'; bytes: string }[];
  logs: (LogVector & { reads: Expected[] })[];
  corrupt: (LogVector & { at?: number })[];
} = JSON.parse(readFileSync(new URL('../../../docs/vectors/status-log.json', import.meta.url), 'utf8'));

const bytes = (base64: string): Uint8Array => Uint8Array.from(Buffer.from(base64, 'base64'));
const base64 = (value: Uint8Array): string => Buffer.from(value).toString('base64');

/** What a reading gives, in the form of the vectors. */
const readAt = async ({ head, segments, size }: LogVector, at: number | undefined): Promise<Expected> => {
  try {
    const log = await openLog({
      head: async () => bytes(head),
      segment: async (number) => (segments[number] === undefined ? undefined : bytes(segments[number])),
    });
    const { state, next } = await stateAt(log!, size, at);
    const { time, round } = state.record;
    return { ...shownStatus(state.status), time, round, ...(next && { next: next.record.time }) };
  } catch (error) {
    assert.ok(error instanceof AppError, String(error));
    return { error: error.code };
  }
};

describe('the vectors of docs/StatusLog.md', () => {
  test('name the boxes', () => {
    const { registry, oid, resource, head, segment0, segment258, key } = vectors.names;
    const { owner, oid: named } = parseObjectId(registry!);
    assert.equal(Buffer.from(owner.key).toString('hex'), key);
    assert.equal(Buffer.from(named).toString('base64url'), oid);
    assert.deepEqual(
      [resourceBox(owner.key, named), logBox(owner.key, named), segmentBox(owner.key, named, 0), segmentBox(owner.key, named, 258)].map(
        base64,
      ),
      [resource, head, segment0, segment258],
    );
  });

  for (const { what, type, id, box, value, parts = [], canonical: expected, error } of vectors.objects)
    test(`hold an object: ${what}`, () => {
      const { owner, oid } = parseObjectId(id);
      assert.equal(base64(resourceBox(owner.key, oid)), box);
      const read = () =>
        unpackObject(
          owner.did,
          type,
          oid,
          bytes(value),
          parts.map((part) => bytes(part.value)),
        );
      if (error === 'object-invalid') assert.throws(read, (thrown) => thrown instanceof AppError && thrown.code === error);
      else if (error === 'object-not-found') assert.equal(read(), undefined);
      else assert.equal(canonical(read()), expected);
    });

  test('hold sets in each form, whole and toggled', () => {
    const head = vectors.accumulators[0]!.bytes;
    const forms = ['bitmap', 'deflatedBitmap', 'gaps', 'deflatedGaps'] as const;
    for (const vector of vectors.sets) {
      const { size } = vector;
      for (const [form, name] of forms.entries()) {
        const payload = Uint8Array.from([...bytes(head), ...bytes(vector[name])]);
        const whole = decodeStatus({ flags: form << 2, payload }, size);
        assert.equal(shownStatus(whole).revoked, vector.revoked, `${name} of ${size}`);
        const toggled = decodeStatus({ flags: (form << 2) | 1, payload }, size, whole.revoked);
        assert.deepEqual(toggled.revoked, new Uint8Array(whole.revoked.length), `${name} of ${size}, toggled`);
      }
    }
  });

  test('hold accumulators in both forms', () => {
    assert.deepEqual([...new Set(vectors.accumulators.map(({ form }) => form))].sort(), ['deflated', 'packed']);
    for (const { text, form, bytes: encoded } of vectors.accumulators) {
      const flags = (form === 'deflated' ? 2 : 0) | (2 << 2);
      assert.equal(decodeStatus({ flags, payload: bytes(encoded) }, 4).accumulator, text);
      const made = encodeStatus({ accumulator: text, revoked: new Uint8Array(1) });
      assert.equal((made.flags & 2) === 0 ? 'packed' : 'deflated', form, text);
    }
  });

  for (const { reads, ...log } of vectors.logs)
    test(`hold a log: ${log.what}`, async () => {
      for (const { at, ...expected } of reads) assert.deepEqual(await readAt(log, at), expected, `at ${at}`);
    });

  for (const { at, ...log } of vectors.corrupt)
    test(`hold a log that is invalid: ${log.what}`, async () => {
      assert.deepEqual(await readAt(log, at), { error: 'object-invalid' });
    });
});

describe('records', () => {
  const accumulator = vectors.accumulators[0]!.text;
  /** The indices below `size` that a seed picks, with this share. */
  const some = (size: number, share: number, seed: string): Uint8Array => {
    const bits = new Uint8Array(Math.ceil(size / 8));
    for (let index = 1; index < size; index++) {
      const drawn = createHash('sha256').update(`${seed} ${index}`).digest().readUInt32BE(0) / 2 ** 32;
      if (drawn < share) bits[index >> 3] = (bits[index >> 3] as number) | (1 << (index & 7));
    }
    return bits;
  };

  test('of every size and density come back equal, whole and toggled, and are no larger than their bitmap', () => {
    const used = new Set<number>();
    for (const size of [2, 4, 9, 100, 1_000, 4_096, 32_768])
      for (const share of [0, 0.001, 0.02, 0.5, 0.99, 1]) {
        const [former, revoked] = [some(size, share, 'former'), some(size, share, 'now')];
        for (const base of [undefined, former]) {
          const record = encodeStatus({ accumulator, revoked }, base);
          used.add(record.flags);
          assert.ok(record.payload.length <= 204 + revoked.length, `${size} ${share}: ${record.payload.length}`);
          assert.ok(sameStatus(decodeStatus(record, size, base), { accumulator, revoked }), `${size} ${share}`);
        }
      }
    assert.deepEqual(
      [...used].sort((a, b) => a - b),
      [0, 4, 8, 12].flatMap((form) => [form, form | 1]).filter((flags) => used.has(flags)),
    );
    for (const form of [0, 4, 8]) assert.ok(used.has(form), `form ${form} is used`);
    assert.ok(used.has(9), 'toggled gaps are used');
  });

  test('are cut into entries of which each but the last says that more follow', () => {
    const record = encodeStatus({ accumulator, revoked: some(32_768, 0.5, 'parts') });
    const parts = entriesOf(record, 1_900, true);
    assert.deepEqual(
      parts.map(([flags]) => (flags as number) & 0xc0),
      [0xc0, 0x80, 0],
    );
    assert.ok(parts.every((part) => part.length <= 1_900));
    const joined = Uint8Array.from(parts.flatMap((part) => [...part.subarray(1)]));
    assert.deepEqual(joined, record.payload);
    assert.deepEqual(
      entriesOf({ flags: 9, payload: new Uint8Array() }, 1_900, false).map((part) => [...part]),
      [[9]],
    );
  });
});

describe('a status', () => {
  const accumulator = vectors.accumulators[0]!.text;
  const revoked = (...values: number[]): string => Buffer.from(values).toString('base64url');

  test('of the port is read, and shown again', () => {
    const given = { accumulator, revoked: revoked(0x8a) };
    assert.deepEqual(shownStatus(statusOf(given, 8)), given);
  });

  for (const [what, given, size] of [
    ['with a bitmap of another size', { accumulator, revoked: revoked(2, 0) }, 8],
    ['with index 0', { accumulator, revoked: revoked(1) }, 8],
    ['with an index beyond the last credential', { accumulator, revoked: revoked(0x20) }, 5],
    ['with a bitmap that is not base64url', { accumulator, revoked: 'Ag==' }, 8],
    ['with no accumulator', { accumulator: '', revoked: revoked(2) }, 8],
    ['with an accumulator without end', { accumulator: `${accumulator}${'0'.repeat(1_000)}`, revoked: revoked(2) }, 8],
  ] as const)
    test(`${what} is refused`, () => {
      assert.throws(
        () => statusOf(given, size),
        (error) => error instanceof AppError && error.code === 'object-invalid',
      );
    });
});

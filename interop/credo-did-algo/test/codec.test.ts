import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import canonicalize from 'canonicalize';
import { inflated } from '../src/bytes.ts';
import { DidAlgoError } from '../src/errors.ts';
import { headBox, objectBox, parseId, segmentBox } from '../src/identifiers.ts';
import { partsOf, unpackObject } from '../src/objects.ts';
import { checkSize, decodeRecord, openLog, stateAt } from '../src/status-log.ts';
import { bitmap, bytes, type Expected, type LogVector, text, vectors } from './vectors.ts';

const fails = (run: () => unknown, code: DidAlgoError['code']): void =>
  assert.throws(run, (error) => error instanceof DidAlgoError && error.code === code);

const registry = vectors.names.registry!;
const key = vectors.names.key!;

describe('identifiers', () => {
  test('name the boxes', () => {
    const id = parseId(registry);
    assert.equal(id.did, vectors.names.did);
    const { resource, head, segment0, segment258 } = vectors.names;
    assert.deepEqual([objectBox(id), headBox(id), segmentBox(id, 0), segmentBox(id, 258)].map(text), [
      resource,
      head,
      segment0,
      segment258,
    ]);
  });

  test('are normalised', () => {
    assert.equal(parseId(registry.replace(':custom', '')).network, 'mainnet');
    assert.equal(parseId(registry.replace(key, key.toUpperCase())).did, vectors.names.did);
  });

  for (const wrong of ['', 'did:algo:x', `${registry}\n`, ` ${registry}`, registry.slice(0, -1), `${registry}A`])
    test(`are refused where they are none: ${JSON.stringify(wrong.slice(-40))}`, () => fails(() => parseId(wrong), 'identifier-invalid'));
  for (const application of ['0', String(2n ** 64n)])
    test(`have no application ${application}`, () => fails(() => parseId(registry.replace('1001', application)), 'identifier-invalid'));
});

describe('objects', () => {
  for (const { what, id: named, box, value, parts = [], canonical, error } of vectors.objects)
    test(`of the vectors: ${what}`, () => {
      const id = parseId(named);
      assert.equal(text(objectBox(id)), box);
      assert.deepEqual(
        partsOf(bytes(value)).map((oid) => text(objectBox(id, oid))),
        parts.map((part) => part.box),
      );
      const read = () =>
        unpackObject(
          id,
          bytes(value),
          parts.map((part) => bytes(part.value)),
        );
      if (error === 'object-invalid') fails(read, error);
      else if (error === 'object-not-found') assert.equal(read(), undefined);
      else assert.equal(canonicalize(read()), canonical);
    });

  const schema = vectors.objects[0]!;

  test('are invalid with any byte changed', () => {
    const box = bytes(schema.value);
    for (const at of [0, 1, ...Array.from({ length: box.length - 18 }, (_none, i) => i + 18)])
      fails(() => unpackObject(parseId(schema.id), box.with(at, box[at]! ^ 1)), 'object-invalid');
  });

  test('of another type or issuer than their identifier are invalid', () => {
    for (const wrong of [schema.id.replace('/SCHEMA/', '/CLAIM_DEF/'), schema.id.replace(key, '00'.repeat(32))])
      fails(() => unpackObject(parseId(wrong), bytes(schema.value)), 'object-invalid');
  });

  test('that lack a part are absent, those with other parts invalid', () => {
    const vector = vectors.objects.find((one) => one.parts)!;
    const id = parseId(vector.id);
    const [a, b] = vector.parts!.map((part) => bytes(part.value)) as [Uint8Array, Uint8Array];
    assert.equal(unpackObject(id, bytes(vector.value), [a, undefined]), undefined);
    for (const wrong of [[], [a], [a, b, a], [b, a]]) fails(() => unpackObject(id, bytes(vector.value), wrong), 'object-invalid');
  });

  test('are inflated to a limit, and to the end of their bytes', () => {
    const packed = Uint8Array.from(deflateRawSync(new Uint8Array(1_000_000)));
    assert.deepEqual(inflated(packed, 1_000_000), new Uint8Array(1_000_000));
    for (const wrong of [packed.slice(0, -1), Uint8Array.from([...packed, 0]), new Uint8Array()])
      fails(() => inflated(wrong, 1_000_000), 'object-invalid');
    assert.throws(() => inflated(packed, 999_999), /more than 999999 bytes/);
  });
});

describe('records', () => {
  const forms = ['bitmap', 'deflatedBitmap', 'gaps', 'deflatedGaps'] as const;

  test('have sets in each form, whole and toggled', () => {
    const head = bytes(vectors.accumulators[0]!.bytes);
    for (const vector of vectors.sets)
      for (const [form, name] of forms.entries()) {
        const payload = Uint8Array.from([...head, ...bytes(vector[name])]);
        const whole = decodeRecord(form << 2, payload, vector.size);
        assert.equal(bitmap(whole.revoked), vector.revoked, `${name} of ${vector.size}`);
        const toggled = decodeRecord((form << 2) | 1, payload, vector.size, whole.revoked);
        assert.deepEqual(toggled.revoked, new Uint8Array(whole.revoked.length), `${name} of ${vector.size}, toggled`);
      }
  });

  test('have accumulators in both forms', () => {
    for (const { text: accumulator, form, bytes: encoded } of vectors.accumulators)
      assert.equal(decodeRecord((form === 'deflated' ? 2 : 0) | (2 << 2), bytes(encoded), 4).accumulator, accumulator);
  });

  test('are of registries of 2 to 32768 credentials', () => {
    assert.deepEqual([checkSize(2), checkSize(32_768)], [2, 32_768]);
    for (const wrong of [undefined, true, '4', 1, 0, -4, 32_769, 4.5, Number.NaN]) fails(() => checkSize(wrong), 'object-invalid');
  });
});

describe('logs', () => {
  const readAt = async ({ head, segments, size }: LogVector, at?: number): Promise<Expected> => {
    try {
      const log = await openLog({
        head: async () => bytes(head),
        segment: async (number) => (segments[number] === undefined ? undefined : bytes(segments[number])),
      });
      const { accumulator, revoked, time, round } = await stateAt(log!, size, at);
      return { accumulator, revoked: bitmap(revoked), time, round };
    } catch (error) {
      assert.ok(error instanceof DidAlgoError, String(error));
      return { error: error.code };
    }
  };

  for (const { reads, ...log } of vectors.logs)
    test(`of the vectors: ${log.what}`, async () => {
      for (const { at, next: _next, ...expected } of reads) assert.deepEqual(await readAt(log, at), expected, `at ${at}`);
    });

  for (const log of vectors.corrupt)
    test(`that are invalid: ${log.what}`, async () => assert.deepEqual(await readAt(log, log.at), { error: 'object-invalid' }));

  test('that are not there', async () => {
    const nothing = async () => undefined;
    assert.equal(await openLog({ head: nothing, segment: nothing }), undefined);
  });
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AppError } from '../errors.ts';
import type { RevocationRegistryDefinition, RevocationStatusList } from '../ports/anoncreds.ts';
import { listOf, statusOf } from './status-list.ts';

const registry = (maxCredNum: number) => ({
  definition: { issuerId: 'did:x:y', value: { maxCredNum } } as RevocationRegistryDefinition,
  definitionId: 'did:x:y/r',
});

test('a status list and the state of a log are one another, whatever the size', () => {
  for (const size of [4, 7, 8, 9, 1000]) {
    for (const pattern of [() => 0, () => 1, (index: number) => index % 3]) {
      const revocationList = Array.from({ length: size }, (_, index) => (pattern(index) === 1 ? 1 : 0) as 0 | 1);
      const list: RevocationStatusList = {
        issuerId: 'did:x:y',
        revRegDefId: 'did:x:y/r',
        revocationList,
        currentAccumulator: '1 00',
        timestamp: 7,
      };
      const status = statusOf(list);
      assert.equal(Buffer.from(status.revoked, 'base64url').length, Math.ceil(size / 8));
      assert.deepEqual(listOf(status, registry(size), 7), list);
    }
  }
});

test('bit i of the list is bit i & 7 of byte i >> 3, from the least significant', () => {
  const { revocationList } = listOf({ accumulator: 'a', revoked: Buffer.from([0b10, 0b1]).toString('base64url') }, registry(10), 1);
  assert.deepEqual(revocationList, [0, 1, 0, 0, 0, 0, 0, 0, 1, 0]);
});

test('a bitmap of another size is none', () => {
  for (const bytes of [[], [0], [0, 0, 0], [0, 0b100]])
    assert.throws(
      () => listOf({ accumulator: 'a', revoked: Buffer.from(bytes).toString('base64url') }, registry(10), 1),
      (error: unknown) => error instanceof AppError && error.code === 'object-invalid',
      String(bytes),
    );
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { byteaArray } from './bytea-array.ts';

test('a bytea array is one dimension of lengths and bytes, as array_recv reads it', () => {
  const head = (nulls: number, count: number) => `00000001${`${nulls}`.padStart(8, '0')}00000011${`${count}`.padStart(8, '0')}00000001`;
  assert.equal(byteaArray([Buffer.from('ab', 'hex')]).toString('hex'), `${head(0, 1)}00000001ab`);
  assert.equal(
    byteaArray([null, Buffer.alloc(0), Buffer.from('c0ffee', 'hex')]).toString('hex'),
    `${head(1, 3)}ffffffff0000000000000003c0ffee`,
  );
});

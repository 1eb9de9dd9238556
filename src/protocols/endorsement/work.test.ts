import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AppError } from '../../errors.ts';
import type { WorkContext } from '../../kernel/work.ts';
import { endorsementWork } from './work.ts';

/** What an endorser refuses before anything is planned. */

const DID = `did:algo:custom:app:1:${'ab'.repeat(32)}`;
const WRITE = { kind: 'did-deactivate', did: DID };
const REGISTRY = { kind: 'registry-put', id: `${DID}/x`, did: DID, object: {}, status: { accumulator: '1', revoked: 'AA' } };

/** @returns why a request is refused; undefined where it is not */
async function refusal(
  request: unknown,
  { timing = {}, tails = true }: { timing?: object; tails?: boolean } = {},
): Promise<string | undefined> {
  const ctx = {
    ledger: () => ({ endorsement: { endorse: async () => ({ state: 'endorsed', group: {}, cost: 1 }) } }),
    async tails() {
      if (!tails) throw new AppError('tails-unavailable', 'it is not there');
      return '/tails';
    },
  } as unknown as WorkContext;
  const json = typeof request === 'string' ? request : JSON.stringify(request);
  try {
    await endorsementWork['endorsement/group']!(ctx, {
      ...{ attachment: { data: { json } }, timing, operationId: 'x', rounds: 10, about: {} },
    });
    return undefined;
  } catch (error) {
    assert.ok(error instanceof AppError, String(error));
    assert.equal(error.code, 'endorsement-refused');
    return error.message;
  }
}
const asking = (write: object): object => ({ format: 'algorand/group@1', write });

test('a request that has all is planned', async () => {
  assert.equal(await refusal(asking(WRITE), { timing: { expires_time: '2999-01-01T00:00:00Z' } }), undefined);
  assert.equal(await refusal(asking(REGISTRY)), undefined);
});

test('a request of no kind of this ledger: network', async () => {
  for (const one of ['{', '[]', 'null', '"text"', { write: WRITE }, { operation: { type: '101' } }])
    assert.match((await refusal(one)) ?? '', /^network: /, JSON.stringify(one));
});

test('a request that is larger than any: object', async () => {
  assert.match((await refusal({ ...asking(WRITE), more: 'x'.repeat(2_000_001) })) ?? '', /^object: the request is too large/);
});

test('a request whose time is over: expired', async () => {
  assert.match((await refusal(asking(WRITE), { timing: { expires_time: '2020-01-01T00:00:00Z' } })) ?? '', /^expired: /);
});

test('a write that nobody endorses: method', async () => {
  for (const kind of ['did-rekey', 'pay', '__proto__', 'constructor', undefined, 7])
    assert.match((await refusal(asking({ ...WRITE, kind }))) ?? '', /^method: /, String(kind));
});

test('a write without what it needs: object', async () => {
  for (const write of [
    { kind: 'did-put', did: DID },
    { kind: 'status-append', id: 'x', did: DID, expected: -1 },
    { ...REGISTRY, status: {} },
  ])
    assert.match((await refusal(asking(write))) ?? '', /^object: /, JSON.stringify(write));
});

test('a registry whose tails file cannot be had: object', async () => {
  assert.match((await refusal(asking(REGISTRY), { tails: false })) ?? '', /^object: the tails file cannot be had/);
});

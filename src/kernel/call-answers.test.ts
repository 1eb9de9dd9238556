import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CallStatus, ChangeNotification } from '../ports/store.ts';
import { createCallAnswers } from './call-answers.ts';
import type { Kernel } from './context.ts';

function surroundings(isShared: boolean, status: CallStatus) {
  const listeners = new Set<(notification: ChangeNotification) => void>();
  const awaitedCalls = new Set<string>();
  const seen = { waits: 0 };
  const db = {
    isShared,
    store: { callStatus: async () => status },
    jobs: {
      subscribe(listener: (notification: ChangeNotification) => void) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    admin: { durable: async () => void seen.waits++ },
  };
  const kernel = { db, registry: { records: new Map() }, awaitedCalls } as unknown as Kernel;
  const notify = (callId: string): void => {
    const none = { kinds: [], callIds: [callId], invalidate: [], tenants: [], events: [], mailboxes: [] };
    for (const listener of listeners) listener({ ...none, answers: [{ callId, value: { of: callId } }] });
  };
  return { answers: createCallAnswers(kernel), awaitedCalls, listeners, notify, seen };
}

test('an awaited call is answered by its last commit, and by its first one when that is on the disk', async () => {
  const { answers, awaitedCalls, listeners, notify, seen } = surroundings(false, { open: 0 });
  const awaited = answers.await('call')!;
  assert.deepEqual([...awaitedCalls], ['call']);
  const call = { tenant: 't', callId: 'call', otherwise: { first: true }, latest: awaited.latest };
  notify('another');
  assert.deepEqual(await answers.settled(call), { first: true });
  assert.equal(seen.waits, 0, 'it was on the disk');
  assert.deepEqual(await answers.settled({ ...call, isUnanswered: true }), { first: true });
  assert.equal(seen.waits, 1);
  notify('call');
  assert.deepEqual(await answers.settled({ ...call, isUnanswered: true }), { of: 'call' });
  assert.equal(seen.waits, 1, 'the later commit was synced');
  awaited.end();
  assert.deepEqual([awaitedCalls.size, listeners.size], [0, 0]);
});

test('a failure and the end of the wait, too, are told when the call is on the disk', async () => {
  const failure = { code: 'bad-request', text: 'no' };
  const { answers, seen } = surroundings(false, { open: 0, failure });
  await assert.rejects(answers.settled({ tenant: 't', callId: 'call', otherwise: {}, isUnanswered: true }), /no/);
  assert.equal(seen.waits, 1);
});

test('no call is awaited in memory where other processes share the database', () => {
  const { answers, awaitedCalls } = surroundings(true, { open: 0 });
  assert.equal(answers.await('call'), undefined);
  assert.equal(awaitedCalls.size, 0);
});

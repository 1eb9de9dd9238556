import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DeliveryResult, Socket } from '../ports/transport.ts';
import { createLines } from './mediator-lines.ts';

type How = 'takes' | 'is silent' | 'closes' | 'finds it too large';

/** A socket that does one thing with what is sent. */
function socketThat(how: How): Socket & { readonly sent: string[] } {
  const sent: string[] = [];
  const closes = how === 'closes' || how === 'finds it too large';
  return {
    id: how,
    sent,
    get open() {
      return !(closes && sent.length > 0);
    },
    closeCode: how === 'finds it too large' ? 1009 : undefined,
    buffered: 0,
    send: (frame) => void sent.push(frame),
    acknowledged: async () => how === 'takes',
    close: () => {},
    onClose: () => {},
  };
}

/** Delivers once, on a line with such a socket. */
async function delivered(how: How | 'is not open', other: () => Promise<DeliveryResult> = async () => ({ status: 200 })) {
  const lines = createLines();
  let elsewhere = 0;
  const socket = how === 'is not open' ? undefined : socketThat(how);
  lines.keep('base', 'one', { socket, elsewhere: () => elsewhere++ });
  const outcome = await lines.deliver('base', 'one', 'said', other).then(
    ({ status }) => status,
    (error: Error) => error.message,
  );
  return { outcome, elsewhere, sent: socket?.sent ?? [] };
}

test('a message to a mediator goes on its line, and the line is notified of messages that went elsewhere', async () => {
  const cases: readonly (readonly [How | 'is not open', string | number, number])[] = [
    ['takes', 202, 0],
    ['is silent', 'the mediator did not answer a ping in time', 0],
    ['closes', 200, 1],
    ['finds it too large', 413, 0],
    ['is not open', 200, 1],
  ];
  for (const [how, outcome, elsewhere] of cases) {
    const was = await delivered(how);
    assert.deepEqual([was.outcome, was.elsewhere], [outcome, elsewhere], how);
    assert.deepEqual(was.sent, how === 'is not open' ? [] : ['said'], how);
  }
  const failed = await delivered('is not open', () => Promise.reject(new Error('away')));
  assert.deepEqual([failed.outcome, failed.elsewhere], ['away', 1], 'it may have come all the same');
});

test('lines are of one tenant and one connection, and the last one that was kept counts', async () => {
  const lines = createLines();
  const [old, next] = [socketThat('takes'), socketThat('takes')];
  const quiet = { elsewhere: () => assert.fail('nothing went elsewhere') };
  const other = async (): Promise<DeliveryResult> => ({ status: 200 });
  const endOld = lines.keep('base', 'one', { socket: old, ...quiet });
  for (const [tenant, connection] of [
    ['other', 'one'],
    ['base', 'two'],
  ] as const)
    assert.equal((await lines.deliver(tenant, connection, 'said', other)).status, 200);
  const endNext = lines.keep('base', 'one', { socket: next, ...quiet });
  endOld();
  assert.equal((await lines.deliver('base', 'one', 'said', other)).status, 202);
  endNext();
  assert.equal((await lines.deliver('base', 'one', 'said', other)).status, 200);
  assert.deepEqual([old.sent, next.sent], [[], ['said']]);
});

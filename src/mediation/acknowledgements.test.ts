import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Commit } from '../ports/store.ts';
import { gatherAcknowledgements } from './acknowledgements.ts';

/** A store that notes commits, and fails those of one tenant. */
function store() {
  const commits: [tenant: string, commit: Commit][] = [];
  const commit = async (tenant: string, what: Commit): Promise<void> => {
    commits.push([tenant, what]);
    if (tenant === 'broken') throw new Error('no room');
  };
  return { commits, commit };
}

test('acknowledgements of one turn are one commit for each tenant; those of the next turn are another', async () => {
  const { commits, commit } = store();
  const acknowledge = gatherAcknowledgements({ commit });
  await Promise.all([acknowledge('a', 'one', ['1']), acknowledge('b', 'one', ['2']), acknowledge('a', 'two', ['3', '4'])]);
  await acknowledge('a', 'one', ['5']);
  assert.deepEqual(commits, [
    [
      'a',
      {
        acknowledged: [
          { mailbox: 'one', ids: ['1'] },
          { mailbox: 'two', ids: ['3', '4'] },
        ],
      },
    ],
    ['b', { acknowledged: [{ mailbox: 'one', ids: ['2'] }] }],
    ['a', { acknowledged: [{ mailbox: 'one', ids: ['5'] }] }],
  ]);
});

test('a commit that fails fails for all of its turn, who then send again, and for nobody after', async () => {
  const { commit } = store();
  const acknowledge = gatherAcknowledgements({ commit });
  const outcomes = await Promise.allSettled([acknowledge('broken', 'one', ['1']), acknowledge('a', 'one', ['2'])]);
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['rejected', 'rejected'],
  );
  await acknowledge('a', 'one', ['2']);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from './wait-for.ts';

test('a check that has its answer ends the wait at once, and the notifications with it', async () => {
  let listening = 0;
  const wakeOn = () => {
    listening++;
    return () => void listening--;
  };
  assert.equal(await waitFor(async () => 'there', { deadline: Infinity, wakeOn }), 'there');
  assert.equal(listening, 0);
  await assert.rejects(
    waitFor(
      async () => {
        throw new Error('no');
      },
      { deadline: Infinity, wakeOn },
    ),
    /no/,
  );
  assert.equal(listening, 0);
});

test('a notification during a check makes it check again', async () => {
  let wake = (): void => {};
  let checks = 0;
  const found = await waitFor(
    async () => {
      checks++;
      if (checks === 2) return checks;
      wake();
      return undefined;
    },
    {
      deadline: Infinity,
      wakeOn: (given) => {
        wake = given;
        return () => {};
      },
    },
  );
  assert.equal(found, 2);
});

test('it checks without any notification, and says when it is late', async () => {
  const late: boolean[] = [];
  const deadline = Date.now() + 50;
  await waitFor(
    async (isLate) => {
      late.push(isLate);
      return isLate || undefined;
    },
    { deadline, wakeOn: () => () => {} },
  );
  assert.equal(late.at(-1), true);
  assert.ok(Date.now() >= deadline);
});

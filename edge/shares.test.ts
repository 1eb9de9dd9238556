import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newWords } from '../src/backup/recovery.ts';
import { sharesOf, wordsOfShares } from './shares.ts';

test('any two of three shares give the words back, in any order, and one does not [S2-48]', async () => {
  const words = newWords();
  const shares = await sharesOf(words);
  assert.equal(shares.length, 3);
  for (const [a, b] of [
    [0, 1],
    [1, 0],
    [0, 2],
    [2, 1],
  ] as const)
    assert.equal(await wordsOfShares([shares[a]!, `${shares[b]}\n`]), words);
  assert.equal(await wordsOfShares(shares), words);
  for (const share of shares) {
    await assert.rejects(wordsOfShares([share]), /2 different shares are needed, and there are 1/);
    await assert.rejects(wordsOfShares([share, share]), /2 different shares are needed/);
    assert.ok(words.split(' ').every((word) => !share.includes(word)));
  }
});

test('shares of other words, changed ones and what is none are refused without what they hold', async () => {
  const [one, two] = (await sharesOf(newWords())) as [string, string];
  const [other] = (await sharesOf(newWords())) as [string];
  const changed = `${two.slice(0, -20)}${two.at(-20) === 'A' ? 'B' : 'A'}${two.slice(-19)}`;
  for (const [shares, text] of [
    [[], /no share/],
    [['hello'], /one of the shares is none/],
    [[one, two.slice(0, -1)], /not copied whole/],
    [[one, other], /different words/],
    [[one, changed], /one of them was changed/],
  ] as const)
    await assert.rejects(wordsOfShares(shares), (error: Error) => text.test(error.message) && !error.message.includes(one.slice(-44)));
  await assert.rejects(sharesOf(newWords(), 3, 1), /at least 2/);
  await assert.rejects(sharesOf(newWords(), 2, 3), /at least 2/);
});

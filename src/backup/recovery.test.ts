import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { test } from 'node:test';
import { toBase58 } from '../didcomm/encoding.ts';
import { AppError } from '../errors.ts';
import { checkedWords, newWords, recoveryJwk, recoveryKeys, thumbprint } from './recovery.ts';

const ZERO = `${'abandon '.repeat(23)}art`;
const refused = (text: RegExp) => (error: unknown) => error instanceof AppError && error.code === 'bad-request' && text.test(error.message);

test('words give the same keys for ever, and each use another one', () => {
  const { publicKey, secret, controller, index } = recoveryKeys(ZERO);
  assert.equal(publicKey, 'z6LSmSCRnnK7E74kLy58BFykcCGjADKbBYNp8wLCpJCuiK8E');
  assert.deepEqual(recoveryJwk(publicKey), { kty: 'OKP', crv: 'X25519', x: secret.x });
  const key = createPrivateKey({ key: secret as never, format: 'jwk' });
  assert.equal((createPublicKey(key).export({ format: 'jwk' }) as { x: string }).x, secret.x);
  assert.equal(controller.did, 'did:key:z6MknxKsvSdUxyfZ7A3tNQmLSvZa6aBTKnhyvzUxdFDXQyqB');
  assert.equal(new Set([secret.d, Buffer.from(controller.seed).toString('base64url'), Buffer.from(index).toString('base64url')]).size, 3);
  assert.equal(thumbprint(secret), thumbprint(recoveryJwk(publicKey)));
});

test('fresh words are others each time, and are taken however they are typed', () => {
  const words = newWords();
  assert.notEqual(words, newWords());
  assert.equal(words.split(' ').length, 24);
  assert.equal(recoveryKeys(`  ${words.toUpperCase().replaceAll(' ', '\n ')}\n`).publicKey, recoveryKeys(words).publicKey);
});

test('words that are none are refused, with the place and without the words', () => {
  assert.throws(() => checkedWords('abandon art'), refused(/24 words, not 2/));
  assert.throws(
    () => checkedWords(ZERO.replace('abandon abandon', 'abandon sesame')),
    (error: Error) => refused(/Word 2 is not in the list/)(error) && !error.message.includes('sesame'),
  );
  assert.throws(() => checkedWords(ZERO.replace('art', 'zoo')), refused(/do not belong together/));
  assert.throws(() => checkedWords(`${'abandon '.repeat(22)}art abandon`), refused(/do not belong together/));
});

test('a recovery key that is none is refused', () => {
  const { publicKey } = recoveryKeys(ZERO);
  for (const other of [
    '',
    'z6LS',
    publicKey.slice(1),
    `${publicKey}1`,
    'z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK',
    'z6LS0OIl'.repeat(6),
  ])
    assert.throws(() => recoveryJwk(other), refused(/multibase/), other);
  // points of small order
  for (const hex of [
    '00'.repeat(32),
    `01${'00'.repeat(31)}`,
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    `ec${'ff'.repeat(30)}7f`,
  ])
    assert.throws(() => recoveryJwk(`z${toBase58(Buffer.from(`ec01${hex}`, 'hex'))}`), refused(/multibase/), hex);
});

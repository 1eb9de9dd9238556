import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { AppError } from '../errors.ts';
import type { JsonObject } from '../ports/json.ts';
import { openContainer, sealContainer } from './container.ts';
import { newWords, recoveryJwk, recoveryKeys } from './recovery.ts';

const keys = recoveryKeys(newWords());
const HEAD = { generation: 3, created: '2026-01-31T12:00:00.000Z', extent: 'copy', agent: '1' } as const;

async function* all<T>(values: Iterable<T>): AsyncGenerator<T> {
  yield* values;
}

async function sealed(lines: Iterable<JsonObject>, publicKey = keys.publicKey): Promise<string> {
  let out = '';
  for await (const text of sealContainer(recoveryJwk(publicKey), HEAD, all(lines))) out += text;
  return out;
}

async function read(text: string | Uint8Array, secret = keys.secret): Promise<{ head: object; lines: JsonObject[] }> {
  const { head, lines } = await openContainer(all([Buffer.from(text as string)]), secret);
  const found: JsonObject[] = [];
  for await (const line of lines) found.push(line);
  return { head, lines: found };
}

const refused =
  (code = 'bad-request', text = /./) =>
  (error: unknown) =>
    error instanceof AppError && error.code === code && text.test(error.message);

/** More than one piece, and nothing that shrinks. */
const large = () => Array.from({ length: 5 }, (_, n) => ({ type: 'record', id: `${n}`, value: randomBytes(600_000).toString('base64') }));

test('a container gives its lines back, whatever their number', async () => {
  for (const lines of [[], [{ type: 'record', value: 'für 日本\n' }], large()]) {
    const text = await sealed(lines);
    const found = await read(text);
    assert.deepEqual(found.lines, lines);
    assert.deepEqual(found.head, { format: 'flexid-backup/1', ...HEAD });
    assert.ok(lines.length < 5 || text.split('\n').length > 4);
  }
});

test('what is in it stands nowhere in clear, nor the key that it is for', async () => {
  const text = await sealed([{ type: 'record', value: 'a marker that is looked for' }]);
  const bytes = Buffer.concat(text.split(/[.\n]/).map((part) => Buffer.from(part, 'base64url')));
  for (const secret of ['marker', keys.publicKey, keys.secret.x, keys.secret.d!])
    assert.ok(!text.includes(secret) && !bytes.includes(secret) && !bytes.includes(Buffer.from(secret, 'base64url')), secret);
});

test('other words do not open it, and it says so', async () => {
  const text = await sealed([]);
  await assert.rejects(read(text, recoveryKeys(newWords()).secret), refused('unauthorized', /other words/));
});

test('a byte that was changed anywhere is noticed before its end', async () => {
  const text = await sealed([{ type: 'record', value: randomBytes(30_000).toString('base64') }]);
  const whole = Buffer.from(text);
  const places = new Set(Array.from({ length: 60 }, (_, n) => Math.floor((n * whole.length) / 60)));
  // the last characters of each part have bits that decoders pass over; ends of lines
  for (let at = text.search(/[.\n]/); at >= 0 && at < text.length - 1; ) {
    places.add(at - 1).add(at);
    const next = text.slice(at + 1).search(/[.\n]/);
    at = next < 0 ? -1 : at + 1 + next;
  }
  places.add(whole.length - 2);
  for (const at of places) {
    const changed = Buffer.from(whole);
    changed[at] = changed[at] === 0x41 ? 0x42 : 0x41;
    await assert.rejects(read(changed), refused(), `byte ${at} of ${whole.length}`);
    changed[at] = whole[at]! ^ 1;
    if (changed[at] !== 10) await assert.rejects(read(changed), (error) => error instanceof AppError, `bit of byte ${at}`);
  }
});

test('a container that was cut, reordered, repeated, mixed or prolonged is refused', async () => {
  const lines = (await sealed(large())).trimEnd().split('\n');
  const other = (await sealed(large())).trimEnd().split('\n');
  const [head, first, second, ...rest] = lines as [string, string, string, ...string[]];
  for (const [what, changed] of [
    ['its end is missing', lines.slice(0, -1)],
    ['only its head', [head]],
    ['a piece is missing', [head, second, ...rest]],
    ['the last piece is missing', [...lines.slice(0, -2), lines.at(-1)!]],
    ['two pieces changed places', [head, second, first, ...rest]],
    ['a piece came twice', [head, first, first, second, ...rest]],
    ['a piece of another', [head, other[1]!, second, ...rest]],
    ['the head of another', [other[0]!, ...lines.slice(1)]],
    ['something follows', [...lines, lines.at(-1)!]],
    ['another whole follows', [...lines, ...other]],
    ['an empty line', [head, '', ...lines.slice(1)]],
    ['nothing', []],
    ['no backup', ['hello']],
    ['another token', [head.replace(/^[^.]*/, Buffer.from('{"alg":"dir","enc":"A256GCM"}').toString('base64url'))]],
  ] as const)
    await assert.rejects(read(`${changed.join('\n')}\n`), refused(), what);
  assert.equal((await read(`${lines.join('\n')}\n`)).lines.length, 5);
});

test('a line that never ends is given up', async () => {
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (;;) yield Buffer.alloc(1 << 20, 'x');
  }
  await assert.rejects(openContainer(endless(), keys.secret), refused('bad-request', /too long/));
});

test('a failure of what is written ends the container without an end', async () => {
  async function* failing(): AsyncGenerator<JsonObject> {
    yield { type: 'record' };
    throw new AppError('store-corrupt');
  }
  const text: string[] = [];
  await assert.rejects(async () => {
    for await (const one of sealContainer(recoveryJwk(keys.publicKey), HEAD, failing())) text.push(one);
  }, refused('store-corrupt'));
  await assert.rejects(read(text.join('')), refused());
});

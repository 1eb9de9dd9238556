import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { assemble, TealError } from './assembler.ts';

const vectors = new URL('../test/vectors/did-algo/', import.meta.url);
const hex = (source: string): string => Buffer.from(assemble(`#pragma version 10\n${source}`).bytes).toString('hex');

for (const compiler of ['tealscript', 'puya'] as const) {
  test(`assembles the published did:algo program of ${compiler} byte for byte`, () => {
    const expected: Record<string, string> = JSON.parse(readFileSync(new URL('bytecode.json', vectors), 'utf8'));
    const source = readFileSync(new URL(`${compiler}.approval.teal`, vectors), 'utf8');
    assert.equal(Buffer.from(assemble(source).bytes).toString('base64'), expected[compiler]);
  });
}

test('assembles hand-checked forms', () => {
  assert.equal(hex('int_loop:\npushint 300\nb int_loop'), '0a81ac0242fffa');
  assert.equal(hex('intcblock 1 128\nintc 1\nintc_0'), '0a20020180012322');
  assert.equal(hex('pushbytes "a\\x00\\"b" // text with // in "a comment"'), '0a8004610022' + '62');
  assert.equal(hex('switch a b\na:\nerr\nb:\nreturn'), '0a8d02000000010043');
  assert.equal(hex('frame_dig -1\nframe_bury 2\nproto 3 1'), '0a8bff8c028a0301');
  assert.equal(
    hex('txn ApplicationArgs 2\ntxna ApplicationArgs 2\nglobal Round\nacct_params_get AcctMinBalance\ngtxn 3 Sender'),
    '0a361a02361a0232067301330300',
  );
});

test('names the text that it cannot assemble, with the line', () => {
  const fails = (source: string, text: RegExp): void => {
    assert.throws(
      () => hex(source),
      (error) => error instanceof TealError && text.test(error.message),
    );
  };
  fails('\necdsa_verify Secp256k1', /line 3: opcode not known here: ecdsa_verify/);
  fails('b nowhere', /line 2: no such label: nowhere/);
  fails('pushint 18446744073709551616', /64 bits/);
  fails('txn Nonsense', /field not known here: Nonsense/);
  fails('pop 1', /takes 0 operand/);
  fails('a:\na:', /label twice/);
});

test('keeps the comment before an assertion as its message', () => {
  assert.deepEqual(assemble('#pragma version 10\npushint 1\n\n// must hold\nassert\npushint 0\nassert').errors, { 3: 'must hold' });
});

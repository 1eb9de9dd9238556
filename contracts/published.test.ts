import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import algosdk from 'algosdk';
import { assemble } from '../devnet/assembler.ts';
import { REGISTRY } from '../devnet/genesis.ts';
import { sha512_256 } from '../devnet/wire.ts';

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');
const hashOf = (program: Uint8Array): string => algosdk.encodeAddress(sha512_256(new TextEncoder().encode('Program'), program));

test('the published hashes are those of the programs, and the programs those of the TEAL', () => {
  const readme = read('README.md');
  for (const [kind, program] of [
    ['approval', REGISTRY.approval],
    ['clear', REGISTRY.clear],
  ] as const) {
    const size = program.length.toLocaleString('en-US');
    assert.match(readme, new RegExp(`\\| ${kind} +\\| ${size} +\\| \`${hashOf(program)}\` \\|`));
    assert.deepEqual(assemble(read(`artifacts/FlexidRegistry.${kind}.teal`)).bytes, program);
  }
  assert.ok(read('../docs/Ledger.md').includes(`\`${hashOf(REGISTRY.approval)}\``));
});

test('every numbered answer of SECURITY.md has a test, and no test another number', () => {
  const numbers = (text: string, pattern: RegExp): number[] =>
    [...new Set([...text.matchAll(pattern)].map((match) => Number(match[1])))].sort((a, b) => a - b);
  const answers = numbers(read('SECURITY.md'), /^\| (\d+) \|/gm);
  assert.deepEqual(numbers(read('security.test.ts'), /test\(['"]\[(\d+)\]/g), answers);
  assert.ok(answers.length > 10);
});

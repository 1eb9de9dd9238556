import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConfig } from './read-config.ts';

test('a small profile sets bounds that are not given, and nothing sets them without it', () => {
  const of = (argv: readonly string[], env = {}) => {
    const { anoncredsWorkers, maxSockets, maxConnectionsPerAddress, tenantAtOnce } = readConfig(argv, env).config;
    return [anoncredsWorkers, maxSockets, maxConnectionsPerAddress, tenantAtOnce];
  };
  assert.deepEqual(of([]), [undefined, 20_000, 1024, 16]);
  assert.deepEqual(of(['--profile', 'small']), [1, 500, 128, 4]);
  assert.deepEqual(of(['--profile', 'small', '--max-sockets', '7'], { FLEXID_TENANT_AT_ONCE: '9' }), [1, 7, 128, 9]);
  assert.deepEqual(of([], { FLEXID_PROFILE: 'small' }), [1, 500, 128, 4]);
  assert.throws(() => readConfig(['--profile', 'big'], {}), /--profile takes small, not big/);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConfig } from './read-config.ts';
import { rolesOf } from './roles.ts';

const rolesBy = (flags: readonly string[], command?: string): string[] => rolesOf(readConfig(flags, {}, command).config);
const LISTENER = ['--inbound-transport', 'http', '127.0.0.1', '3000'];
const ADMIN = ['--admin', '127.0.0.1', '3001', '--admin-insecure-mode'];

test('the roles of an agent follow from its settings', () => {
  assert.deepEqual(rolesBy([...ADMIN, ...LISTENER]), ['institution']);
  assert.deepEqual(rolesBy(LISTENER), []);
  assert.deepEqual(rolesBy([...LISTENER, '--owner-key', 'B1ank']), ['institution']);
  assert.deepEqual(rolesBy(ADMIN), ['edge']);
  assert.deepEqual(rolesBy([...ADMIN, ...LISTENER, '--no-transport']), ['edge']);
  assert.deepEqual(rolesBy(['--endpoint', 'https://mediator.example'], 'start mediator'), ['cloud']);
  assert.deepEqual(rolesBy([...ADMIN, ...LISTENER, '--open-mediation']), ['institution', 'cloud']);
  assert.deepEqual(rolesBy([...ADMIN, ...LISTENER, '--open-mediation', '--hub']), ['institution', 'cloud', 'hub']);
});

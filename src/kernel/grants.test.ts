import assert from 'node:assert/strict';
import { test } from 'node:test';
import { registry } from '../../test/support/steps.ts';
import { OLD_PREFIX, TOOLBOX_PREFIX } from '../didcomm/message-types.ts';
import { createCommands } from './commands.ts';
import type { Kernel } from './context.ts';
import { EVENTS_GRANT, isGranted } from './grants.ts';

test('grants are those that steps ask for, and events', () => {
  const asked = registry.protocols.flatMap(({ messages }) => Object.values(messages).flatMap(({ grant }) => grant ?? []));
  assert.deepEqual(new Set([...asked, EVENTS_GRANT]), registry.grants);
  assert.ok(registry.grants.size > 5);
});

test('a grant holds for the connection that has it, by its own name alone', () => {
  const connection = { value: { grants: ['admin-schemas'], metadata: { grants: ['admin-issuer'] } } };
  assert.deepEqual(
    ['admin-schemas', 'admin-issuer', 'admin', ''].map((grant) => isGranted(connection, grant)),
    [true, false, false, false],
  );
  assert.equal(isGranted({ value: {} }, 'admin-schemas'), false);
  assert.equal(isGranted(undefined, 'admin-schemas'), false);
});

test('an order that is attached to something is refused, in either spelling, before anything is read', async () => {
  const kernel = { registry, db: { store: {} } } as unknown as Kernel;
  const commands = createCommands(kernel, () => assert.fail('a step is run'));
  for (const prefix of [TOOLBOX_PREFIX, OLD_PREFIX]) {
    const message = { '@type': `${prefix}admin-schemas/0.1/schema-get-list`, '@id': 'x' };
    await assert.rejects(commands.deliverLocally('t', { connection: 'c1', message }, {}), { code: 'unauthorized' });
  }
});

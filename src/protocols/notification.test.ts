import assert from 'node:assert/strict';
import { test } from 'node:test';
import { registry, table } from '../../test/support/steps.ts';

table('notification', []);

// the engine hands both to the owner of their thread, before any step is looked for
test('acks and problem reports have no step of their own, and peers that ask are told of the protocol', () => {
  for (const name of ['ack', 'problem-report'])
    assert.equal(registry.message(`https://didcomm.org/notification/1.0/${name}`), 'unknown-type', name);
  assert.equal(registry.protocolOf('https://didcomm.org/notification/1.0/ack')?.name, 'notification');
  assert.equal(registry.features('https://didcomm.org/notification/*').length, 1);
});

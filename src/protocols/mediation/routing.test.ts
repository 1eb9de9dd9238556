import assert from 'node:assert/strict';
import { test } from 'node:test';
import { registry, table } from '../../../test/support/steps.ts';

table('routing', [{ title: 'has no effect of its own', message: 'forward', body: { to: 'key', msg: {} }, effects: {} }]);

test('a forward is handed on before its step', () => assert.equal(registry.protocol('routing').relayed, true));

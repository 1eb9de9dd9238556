import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mediationId } from '../mediation/names.ts';
import { hashId, newId, timeId } from './ids.ts';

/** ACA-Py's pattern of a UUID, from its `messaging/valid.py`. */
const UUID4 = /^[a-zA-Z0-9]{8}-[a-zA-Z0-9]{4}-4[a-zA-Z0-9]{3}-[89abAB][a-zA-Z0-9]{3}-[a-zA-Z0-9]{12}$/;

test('ids are what ACA-Py takes for version 4, and are ordered by time and call', () => {
  const ids = [1, 1, 1, 2, 1_000_000_000_000].flatMap((now) => Array.from({ length: 5000 }, () => newId(now)));
  assert.ok(ids.every((id) => UUID4.test(id)));
  assert.deepEqual([...ids].sort(), ids);
  assert.equal(new Set(ids).size, ids.length);
  assert.ok(UUID4.test(hashId('a text')));
  assert.equal(hashId('a text'), hashId('a text'));
});

test('the first id of a time is before all of it, of whichever version', () => {
  const now = Date.now() + 60_000;
  assert.ok(timeId(now) < newId(now));
  assert.ok(timeId(now) < timeId(now).replace('-0000-0000', '-7000-8000'));
  assert.ok(newId(now) < timeId(now + 10_000));
});

test('the mediation of a connection of before, whose id is of version 7, keeps its id', () => {
  assert.equal(mediationId('client', '019abc00-0000-7abc-8abc-0123456789ab')[14], '8');
  assert.ok(UUID4.test(mediationId('client', '019abc00-0000-4abc-8abc-0123456789ab')));
});

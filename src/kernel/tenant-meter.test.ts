import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTenantMeter } from './tenant-meter.ts';

test('the busiest tenants of the last full minute are told, the others in one figure, and nothing older', () => {
  let now = 60_000 * 100;
  const tenantMeter = createTenantMeter(() => now);
  const add = (tenant: string, times: number): void => {
    for (let i = 0; i < times; i++) tenantMeter.add(tenant);
  };
  add('b', 3);
  add('a', 3);
  add('c', 5);
  add('d', 1);
  assert.deepEqual(tenantMeter.busiest(3), { top: [], other: 0 }, 'the minute is not over');
  now += 60_000;
  add('d', 7);
  assert.deepEqual(tenantMeter.busiest(2), {
    top: [
      ['c', 5],
      ['a', 3],
    ],
    other: 4,
  });
  assert.deepEqual(tenantMeter.busiest(0), { top: [], other: 12 });
  now += 60_000;
  assert.deepEqual(tenantMeter.busiest(2), { top: [['d', 7]], other: 0 });
  now += 60_000;
  assert.deepEqual(tenantMeter.busiest(2), { top: [], other: 0 });
  add('a', 1);
  now += 120_000;
  assert.deepEqual(tenantMeter.busiest(2), { top: [], other: 0 }, 'a minute without anything lies between');
});

test('a flood of tenants is counted whole and kept within a bound', () => {
  let now = 0;
  const tenantMeter = createTenantMeter(() => now);
  for (let i = 0; i < 25_000; i++) tenantMeter.add(`tenant-${i}`);
  for (let i = 0; i < 9; i++) tenantMeter.add('tenant-5');
  now += 60_000;
  const { top, other } = tenantMeter.busiest(1);
  assert.deepEqual(top, [['tenant-5', 10]]);
  assert.equal(other, 24_999);
});

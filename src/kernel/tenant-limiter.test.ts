import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AppError } from '../errors.ts';
import { createTenantLimiter } from './tenant-limiter.ts';

/** Work that ends when it is told to. */
function held(tenantLimiter: ReturnType<typeof createTenantLimiter>, tenant: string, begun: string[], name: string) {
  let end = (): void => {};
  const until = new Promise<void>((resolve) => {
    end = resolve;
  });
  const done = tenantLimiter.run(tenant, async () => {
    begun.push(name);
    await until;
  });
  return { end, done };
}
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a tenant has so many in hand at once, the others wait in their order, and nobody else does', async () => {
  const tenantLimiter = createTenantLimiter(2);
  const begun: string[] = [];
  const all = ['a1', 'a2', 'a3', 'a4', 'b1'].map((name) => held(tenantLimiter, name[0]!, begun, name));
  await settled();
  assert.deepEqual(begun, ['a1', 'a2', 'b1']);
  all[1]!.end();
  await all[1]!.done;
  await settled();
  assert.deepEqual(begun, ['a1', 'a2', 'b1', 'a3']);
  for (const one of all) one.end();
  await Promise.all(all.map(({ done }) => done));
  assert.deepEqual(begun, ['a1', 'a2', 'b1', 'a3', 'a4']);
});

test('a call that only waits lets the next one work; a failed one does too', async () => {
  const tenantLimiter = createTenantLimiter(1);
  let end = (): void => {};
  const waits = tenantLimiter.run('a', async () => {
    tenantLimiter.pass();
    tenantLimiter.pass();
    await new Promise<void>((resolve) => {
      end = resolve;
    });
  });
  await assert.rejects(
    tenantLimiter.run('a', async () => {
      throw new Error('no');
    }),
    /no/,
  );
  assert.equal(await tenantLimiter.run('a', async () => 'third'), 'third');
  end();
  await waits;
});

test('too many that wait are refused, and 0 is no bound', async () => {
  const tenantLimiter = createTenantLimiter(1);
  const begun: string[] = [];
  const all = Array.from({ length: 51 }, (_none, i) => held(tenantLimiter, 'a', begun, String(i)));
  await assert.rejects(
    tenantLimiter.run('a', async () => {}),
    (error) => error instanceof AppError && error.row.status === 429,
  );
  await tenantLimiter.run('b', async () => {});
  for (const one of all) one.end();
  await Promise.all(all.map(({ done }) => done));
  const free = createTenantLimiter(0);
  const many = Array.from({ length: 200 }, (_none, i) => held(free, 'a', begun, `free ${i}`));
  await settled();
  assert.equal(begun.length, 251);
  for (const one of many) one.end();
  await Promise.all(many.map(({ done }) => done));
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contextOf, registry } from '../../test/support/steps.ts';
import { AppError } from '../errors.ts';
import type { ClaimedJob, Commit } from '../ports/store.ts';
import { planCommit } from './commit-plan.ts';
import type { Kernel, Profile } from './context.ts';
import type { WorkOrder } from './effects.ts';
import { type On, runJob } from './job-steps.ts';
import type { WorkContext } from './work.ts';

const protocol = registry.protocol('anoncreds-schema');
const WHEN_FULL = { command: 'rotate', record: { category: 'rev_reg', id: 'r' } };
const ORDER: WorkOrder = { op: 'one/issue', input: { a: 1 }, result: 'made', allocate: { counter: 'c', upTo: 3, whenFull: WHEN_FULL } };

test('an order with a number has it taken in the commit that orders the work', async () => {
  const kernel = { registry, awaitedCalls: new Set(), messageFormats: [{ isFormatOf: () => true }] } as unknown as Kernel;
  const ctx = contextOf(protocol, { record: { id: 'r1', state: 'action' } });
  const profile = { settings: ctx.settings, webhooks: [] } as unknown as Profile;
  const { allocate: _none, ...plain } = ORDER;
  const { commit } = await planCommit(kernel, profile, protocol, ctx, { work: [ORDER, plain] }, { callId: 'call' });
  const [numbered, other] = commit.jobs!;
  assert.deepEqual(numbered!.allocate, { counter: 'c', upTo: 3 });
  assert.deepEqual(numbered!.payload, other!.payload);
  assert.equal('allocate' in numbered!.payload, false);
  assert.equal(other!.allocate, undefined);
});

test('work reads the number that its job has; a full counter orders what mends it, and the job is tried again', async () => {
  const payload = { protocol: protocol.name, category: 'anoncreds_schema', id: 'r1', op: 'one/issue', input: { a: 1 }, result: 'made' };
  const job = (allocated?: number): ClaimedJob => ({ id: 'j', kind: 'work', tenant: 't', attempts: 0, payload, allocated });
  const commits: Commit[] = [];
  const read: unknown[] = [];
  const on = {
    kernel: {
      registry,
      db: { store: { commit: async (_tenant: string, commit: Commit) => void commits.push(commit) } },
      profiles: { isTenantDeleted: () => false },
    },
    engine: {
      async transition() {
        throw new AppError('counter-full');
      },
    },
    work: (tenant: string) => ({ tenant }) as WorkContext,
    ops: {
      'one/issue': async ({ allocated }: WorkContext, input: unknown) => {
        read.push(allocated, input);
        return { made: [], next: ORDER };
      },
    },
    needsAnoncreds: () => false,
    isWaiting: () => false,
  } as unknown as On;
  for (const number of [undefined, 7]) await assert.rejects(runJob(on, job(number), 'lease'), { code: 'counter-full' });
  assert.deepEqual(read, [undefined, { a: 1 }, 7, { a: 1 }]);
  const [ordered] = commits[0]!.jobs!;
  assert.deepEqual([ordered!.kind, ordered!.lane], ['command', 'command:t:rev_reg:r']);
  assert.deepEqual([ordered!.payload.command, ordered!.payload.protocol], ['rotate', protocol.name]);
});

import type { Row } from '../rows/rows.ts';

export const MUTATIONS: readonly Row[] = [
  {
    id: 'A4',
    text: 'a receiver that does not answer is asked a few times at once, whatever waits for it',
    mutation: {
      file: 'src/workers/runner.ts',
      from: 'target: breaker?.first ?? lanes, targets }',
      to: 'target: lanes, targets: [] }',
    },
  },
  {
    id: 'A4-2',
    text: 'what takes long holds no place that others need',
    mutation: { file: 'src/workers/lane-places.ts', from: 'if (isSlow && extra > 0', to: 'if (false && extra > 0' },
  },
  {
    id: 'A4-3',
    text: 'a tenant has its own bound of documents that are waited for',
    mutation: { file: 'src/app.ts', from: 'dids.resolve(did, { tenant, fresh })', to: 'dids.resolve(did, { fresh })' },
  },
  {
    id: 'A4-4',
    text: 'a short link is fetched within the bound of its tenant',
    mutation: {
      file: 'src/admin/invitation-link.ts',
      from: "failure: 'link-unavailable', tenant });",
      to: "failure: 'link-unavailable' });",
    },
  },
];

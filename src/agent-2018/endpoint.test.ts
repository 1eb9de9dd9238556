import { key, table } from '../../test/support/steps.ts';

table('agent-2018-endpoint', [
  {
    title: 'has the DID of its key',
    command: 'make',
    effects: {
      record: { id: 'J7CUQvLhdTVhye2SHg6w9K', states: ['stored'], patch: { did: 'J7CUQvLhdTVhye2SHg6w9K', verkey: key(1) } },
      keys: [key(1)],
    },
  },
]);

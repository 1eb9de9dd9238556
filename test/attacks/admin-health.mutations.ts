import type { Row } from '../rows/rows.ts';

export const MUTATIONS: readonly Row[] = [
  {
    id: 'A15',
    text: 'readiness writes a little',
    mutation: {
      file: 'src/adapters/sqlite/upkeep.ts',
      from: 'check: () => read(writeALittle),',
      to: 'check: () => read(() => void deadCount.get()),',
    },
  },
  {
    id: 'A15-2',
    text: 'a damaged row hides no list',
    mutation: { file: 'src/adapters/store/shared.ts', from: 'if (!(error instanceof DamagedRecord)) throw error;', to: 'throw error;' },
  },
  {
    id: 'A15-3',
    text: 'failing webhooks are told, and not all the time',
    mutation: { file: 'src/workers/events.ts', from: 'if (kept !== undefined)', to: 'if (kept === -1)' },
  },
  {
    id: 'A15-4',
    text: 'anybody may ask how the ledger is, and its node is asked seldom',
    mutation: {
      file: 'src/admin/readiness.ts',
      from: 'const ledgerHealth = atMostEvery(HEALTH_MS, async () => await ledger?.health());',
      to: 'const ledgerHealth = async () => await ledger?.health();',
    },
  },
];

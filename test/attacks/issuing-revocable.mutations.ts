import type { Breakable } from '../mutations.ts';
import type { Row } from '../rows/rows.ts';

const INDEX = 'src/formats/registry-index.ts';
const ISSUING = 'src/formats/anoncreds-issuance.ts';
const WORK = 'src/formats/revocation-work.ts';
const REGISTRY = 'src/resources/revocation/registry.ts';
const PUBLISHING = 'src/resources/revocation/publishing.ts';
const step = (title: string): readonly [string, string] => ['src/resources/revocation/registry.test.ts', title];
const ISSUE: readonly [string, string] = ['test/faults/revocation.test.ts', 'issue takes an index, and says which'];
const NEXT = 'test/faults/registry-work.test.ts';

export const MUTATIONS: readonly (Row & Breakable)[] = [
  {
    id: 'A32',
    text: 'a registry issues one credential less than it has entries',
    mutation: { file: INDEX, from: '(value.max_cred_num as number) - 1', to: 'value.max_cred_num as number' },
    tests: [ISSUE],
  },
  {
    id: 'A32-2',
    text: 'an index that the ledger has as revoked is not issued at',
    mutation: { file: ISSUING, from: '    if (revokedIn(status)(index)) return takeIndex(row);\n', to: '' },
    tests: [ISSUE],
  },
  {
    id: 'A32-3',
    text: 'the index 0 and those beyond the registry are not revoked',
    mutation: { file: PUBLISHING, from: 'if (index < 1 || index >= size) throw', to: 'if (index < 0) throw' },
    tests: [step('command revoke: of index ')],
  },
  {
    id: 'A32-4',
    text: 'an index at which nothing was issued is not revoked',
    mutation: {
      file: PUBLISHING,
      from: 'if (!ctx.loaded.credential) throw',
      to: 'if (!ctx.loaded.credential) return {}; if (index < 0) throw',
    },
    tests: [step('command revoke: of what was not issued')],
  },
  {
    id: 'A32-5',
    text: 'a revocation that is published is not published again',
    mutation: { file: PUBLISHING, from: "    if (base.state === 'revoked') return { answer: {} };\n", to: '' },
    tests: [step('command revoke: has no second effect')],
  },
  {
    id: 'A32-6',
    text: 'a credential is revoked when the ledger says so, and not before',
    mutation: { file: PUBLISHING, from: '.filter(({ value }) => revoked(value.index))', to: '' },
    tests: [step('result published: revokes what the ledger has confirmed, and nothing else')],
  },
  {
    id: 'A32-7',
    text: 'a registry has one publication at a time',
    mutation: { file: PUBLISHING, from: 'if (value.publishing && !over) return', to: "if (value.tag === '') return" },
    tests: [step('command publish: waits for the one before')],
  },
  {
    id: 'A32-8',
    text: 'what a publication has in hand is not taken back',
    mutation: { file: PUBLISHING, from: ' && !named(publishing?.due, value.index)', to: '' },
    tests: [step('command clear: takes back what is not published, but for what a publication has in hand')],
  },
  {
    id: 'A32-9',
    text: 'a publication goes on from what the ledger has',
    mutation: {
      file: WORK,
      from: 'const known = revokedIn(head.status);',
      to: "const known = revokedIn(head.status); Object.assign(head.status, { revoked: Buffer.alloc(Buffer.from(head.status.revoked, 'base64url').length).toString('base64url') });",
    },
    tests: [[NEXT, '[P3] goes on from what the ledger has']],
  },
  {
    id: 'A32-10',
    text: 'a publication that another writer was quicker than is made anew',
    mutation: { file: PUBLISHING, from: "if (code === 'status-overtaken' && ", to: "if (code === 'never' && " },
    tests: [step('failed: of a log in which another was quicker is made anew')],
  },
  {
    id: 'A32-11',
    text: 'nothing of a registry is written before its tails file is served',
    mutation: { file: REGISTRY, from: 'if (later !== undefined)\n', to: "if (later === '')\n" },
    tests: [step('result made: is not written before its tails file is served')],
  },
  {
    id: 'A32-12',
    text: 'a registry is full once',
    mutation: { file: REGISTRY, from: "  from: ['active'],\n", to: "  from: ['active', 'full'],\n" },
    tests: [step('command retire: is retired once')],
  },
];

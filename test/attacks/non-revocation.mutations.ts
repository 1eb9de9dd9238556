import type { Breakable } from '../mutations.ts';
import type { Row } from '../rows/rows.ts';

const CHECKS = 'src/formats/non-revocation.ts';
const PROOF = 'src/formats/anoncreds-proof.ts';
const FORMATS = 'test/faults/revocation.test.ts';

export const MUTATIONS: readonly (Row & Breakable)[] = [
  {
    id: 'A21',
    text: 'every referent with an interval needs a proof of non-revocation, revealed or not',
    mutation: { file: CHECKS, from: "    ['attribute', given?.unrevealed_attrs],\n", to: '' },
  },
  {
    id: 'A21-2',
    text: 'a sub-proof that must prove non-revocation has proof, registry and time',
    mutation: {
      file: CHECKS,
      from: 'presentation.proof.proofs[index]?.non_revoc_proof == null || registryId == null || timestamp == null',
      to: 'registryId == null || timestamp == null',
    },
  },
  {
    id: 'A21-3',
    text: 'a registry is of the credential definition and its issuer',
    mutation: {
      file: CHECKS,
      from: 'registry.credDefId !== definitionId || registry.issuerId !== credentialDefinitions[definitionId]!.issuerId',
      to: "registry.credDefId === ''",
    },
  },
  {
    id: 'A21-4',
    text: 'a list that another one followed before the interval is outside it',
    mutation: {
      file: CHECKS,
      from: 'if (from !== undefined && timestamp < from && next !== undefined && next <= from)',
      to: 'if (from === -1)',
    },
  },
  {
    id: 'A21-5',
    text: 'a time after the interval is outside it',
    mutation: { file: CHECKS, from: 'if (to !== undefined && timestamp > to)', to: 'if (to === -1)' },
  },
  {
    id: 'A21-6',
    text: 'a time has come',
    mutation: { file: CHECKS, from: 'timestamp > now + SKEW_S', to: 'timestamp < 0' },
  },
  {
    id: 'A21-7',
    text: 'a proof of non-revocation that was not asked for is none',
    mutation: { file: PROOF, from: 'if (!key.nonRevocation && nonRevocation != null)', to: 'if (nonRevocation === 0)' },
  },
  {
    id: 'A21-8',
    text: 'the challenge is over the commitments of non-revocation',
    mutation: { file: PROOF, from: 'made.push(point);', to: 'made.push(Buffer.alloc(0));' },
  },
  {
    id: 'A21-9',
    text: 'a number of a point is what its text says',
    mutation: { file: 'src/formats/anoncreds-points.ts', from: 'most === 0n || most > MOST || number > most * MODULUS', to: 'most > MOST' },
  },
  {
    id: 'A21-10',
    text: 'a time before the first list makes a proof false, and no exception',
    mutation: {
      file: 'src/formats/anoncreds-revocation.ts',
      from: "error.code === 'ledger-none') throw error;",
      to: "error.code === 'ledger-none' || error.code === 'status-none') throw error;",
    },
    tests: [[FORMATS, '[P13] a time before the first list is no exception']],
  },
  {
    id: 'A21-11',
    text: 'a holder shows nothing for a time before the first list, and its controller has the reason',
    mutation: {
      file: 'src/formats/anoncreds-revocation.ts',
      from: "(error.code !== 'status-none' && error.code !== 'status-pruned')) throw error;",
      to: "error.code !== 'status-pruned') throw error;",
    },
    tests: [[FORMATS, '[P13] a time before the first list is no exception']],
  },
  {
    id: 'A21-12',
    text: 'a witness is made once for all referents of one time, and kept',
    mutation: {
      file: 'src/formats/anoncreds-revocation.ts',
      from: '  if (known?.time === time && known.status.accumulator === status.accumulator) return known.state;\n',
      to: '',
    },
    tests: [[FORMATS, '[P11] one witness for many referents']],
  },
];

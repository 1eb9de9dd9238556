import type { Row } from '../rows/rows.ts';

const PROOF = 'src/formats/anoncreds-proof.ts';

export const MUTATIONS: readonly Row[] = [
  {
    id: 'A0',
    text: 'the responses of a proof are checked before its equations',
    mutation: { file: 'src/formats/anoncreds-checks.ts', from: 'if (fault !== undefined) refuse(', to: 'if (fault === null) refuse(' },
  },
  {
    id: 'A0-2',
    text: 'responses are in their ranges',
    mutation: { file: PROOF, from: 'return number >= 0n && number >> BigInt(bits) === 0n;', to: 'return bits > 0;' },
  },
  {
    id: 'A0-3',
    text: 'a predicate is about the attribute of its credential',
    mutation: { file: PROOF, from: ' || BigInt(equal.m[name]!) !== BigInt(one.mj)', to: '' },
  },
  {
    id: 'A0-4',
    text: 'the challenge is over the commitments of the proof',
    mutation: {
      file: PROOF,
      from: "return same ? undefined : 'the commitments of the challenge';",
      to: 'return same ? undefined : undefined;',
    },
  },
  {
    id: 'A0-5',
    text: 'a proof has no other members than its own',
    mutation: { file: PROOF, from: "if (!only(equal, EQUALITY_MEMBERS)) return 'members that an equality proof does not have';", to: '' },
  },
  {
    id: 'A0-6',
    text: 'a request for a credential hides the link secret alone',
    mutation: {
      file: 'src/adapters/anoncreds/shapes.ts',
      from: 'hidden_attributes: list(literal(LINK_SECRET), 1, 1)',
      to: 'hidden_attributes: list(text(64), 4)',
    },
  },
  {
    id: 'A0-7',
    text: 'a presentation names no time that it does not prove',
    mutation: { file: 'src/formats/anoncreds-checks.ts', from: 'if (timestamp != null) refuse(', to: 'if (timestamp === -1) refuse(' },
  },
];

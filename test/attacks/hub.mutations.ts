import type { Breakable } from '../mutations.ts';
import type { Row } from '../rows/rows.ts';

const CHAIN = 'src/adapters/zcap/chain.ts';
const ZCAP = 'src/adapters/zcap/zcap.ts';

export const MUTATIONS: readonly (Row & Pick<Breakable, 'tests'>)[] = [
  {
    id: 'A40',
    text: 'a signature that is valid for days is refused, so that a request cannot be repeated for days',
    mutation: { file: CHAIN, from: 'Number(expires) - Number(created) > MAX_SIGNATURE_LIFE || ', to: '' },
  },
  {
    id: 'A40-2',
    text: 'a capability ends at its time, whatever the skew of clocks',
    mutation: { file: CHAIN, from: "  if (!(until > now)) refuse('the capability has expired');\n", to: '' },
  },
  {
    id: 'A40-3',
    text: 'a body that the signature does not cover is refused',
    mutation: { file: ZCAP, from: '    if (!verified) throw', to: '    if (verified === undefined) throw' },
  },
  {
    id: 'A40-4',
    text: 'a path in another spelling than that of capabilities is an unknown one',
    mutation: { file: 'src/resources/hub/admission.ts', from: 'given === path && ', to: '' },
  },
  {
    id: 'A40-5',
    text: 'a vault is given away by its controller alone',
    mutation: {
      file: 'src/resources/hub/routes.ts',
      from: 'if (admitted.invoked.chain.length > 0) throw',
      to: 'if (admitted.invoked.chain.length > 9) throw',
    },
  },
  {
    id: 'A40-6',
    text: 'a right to write in a vault is none to end the rights of others',
    mutation: {
      file: 'src/resources/hub/routes.ts',
      from: '[{ target: whole, controllers }]);',
      to: '[{ target: whole, controllers }, root]);',
    },
  },
  {
    id: 'A40-7',
    text: 'a search holds ids, and no documents',
    mutation: {
      file: 'src/resources/hub/documents.ts',
      from: 'found.set(row.id, { id: document.id, size })',
      to: 'found.set(row.id, { id: document.id, size, document } as never)',
    },
  },
  {
    id: 'A40-8',
    text: 'the documents of an answer are read as its receiver reads',
    mutation: { file: 'src/resources/hub/documents.ts', from: 'groups.length === 0 || bytes > PIECE', to: 'groups.length === 0' },
  },
  {
    id: 'A40-9',
    text: 'a grant ends at a time that there is',
    mutation: {
      file: 'src/protocols/hub-grant.ts',
      from: 'if (Number.isNaN(endOf(capabilities))) throw',
      to: 'if (endOf(capabilities) < 0) throw',
    },
  },
  {
    id: 'A40-10',
    text: 'a grantee does not see whose rights have ended',
    mutation: { file: 'src/resources/hub/routes.ts', from: 'invoked.chain.length === 0 ? await', to: 'invoked.chain.length < 9 ? await' },
  },
  {
    id: 'A40-11',
    text: 'no vault is given to a controller under the name of one that it has',
    mutation: {
      file: 'src/resources/hub/vault.ts',
      from: 'if (!handed_over && ctx.loaded.same) throw',
      to: 'if (sequence < 0 && ctx.loaded.same) throw',
    },
  },
  {
    id: 'A40-15',
    text: 'a vault that was given to a controller takes no name of it',
    mutation: { file: 'src/records/edv.ts', from: 'handed_over || referenceId === undefined', to: 'referenceId === undefined' },
  },
  {
    id: 'A40-12',
    text: 'revocations of a grantee displace no trace of the controller’s',
    mutation: { file: 'src/resources/hub/vault.ts', from: 'delegator === vault.value.controller ?', to: 'delegator !== undefined ?' },
  },
  {
    id: 'A40-13',
    text: 'a vault remembers a bounded number of revocations',
    mutation: {
      file: 'src/resources/hub/vault.ts',
      from: "        if (ctx.pages.others!.total >= MAX_REVOCATIONS) throw new AppError('vault-full');\n",
      to: '',
    },
  },
  {
    id: 'A40-14',
    text: 'a signature has one spelling',
    mutation: { file: CHAIN, from: '{85}[AQgw]==', to: '{86}==' },
  },
  {
    id: 'A40-16',
    text: 'a connection has a bounded number of requests for grants that wait',
    mutation: { file: 'src/protocols/hub-grant.ts', from: 'const full = waiting.full(ctx);', to: 'const full = undefined;' },
    tests: [['src/protocols/hub-grant.test.ts', 'message request: is one more than a connection may have waiting']],
  },
];

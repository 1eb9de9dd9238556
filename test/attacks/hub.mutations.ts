import type { Row } from '../rows/rows.ts';

const CHAIN = 'src/adapters/zcap/chain.ts';
const ZCAP = 'src/adapters/zcap/zcap.ts';

export const MUTATIONS: readonly Row[] = [
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
];

import { type Requirement, shown } from './requirement.ts';

/** The hub: data that a person stores and shares. */
export const HUB_ROWS: readonly Requirement[] = [
  shown('S2-51', 'a hub stores and shares data', {
    file: 'src/resources/hub/vault.ts',
    from: "        if (document.sequence !== expected) throw new AppError('not-current');\n",
    to: '',
  }),
  shown('S2-52', 'a hub has no keys', {
    file: 'src/resources/hub/shapes.ts',
    from: 'const CLOSED = { additionalProperties: false };',
    to: 'const CLOSED = { additionalProperties: true };',
  }),
  shown('S2-53', 'a hub holds much', {
    file: 'src/resources/hub/documents.ts',
    from: 'offset < size; offset += PIECE',
    to: 'offset < Math.min(size, PIECE); offset += PIECE',
  }),
  shown('S2-54', 'the owner grants access to a service', {
    file: 'src/adapters/zcap/zcap.ts',
    from: '          allowTargetAttenuation: true,\n',
    to: '          allowTargetAttenuation: false,\n',
  }),
  shown('S2-55', 'without the edge agent', {
    file: 'src/protocols/hub-grant.ts',
    from: "send: [{ type: 'grant', id, body: { capabilities } }]",
    to: 'send: []',
  }),
  shown('S2-56', 'a grant can end', {
    file: 'src/resources/hub/admission.ts',
    from: 'if (found.some((rows) => rows.length > 0))',
    to: 'if (found.length > 99)',
  }),
];

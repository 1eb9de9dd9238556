import { NOW, table } from '../../test/support/steps.ts';
import { ocaBundleId } from '../formats/oca-bundle.ts';

const bundle = { capture_base: { type: 'spec/capture_base/1.0', attributes: { name: 'Text' } }, overlays: [] };
const definition = (state = 'finished') => ({
  definition: {
    category: 'cred_def',
    id: 'd1',
    state,
    value: { issuerId: 'did:algo:issuer', credential_definition: { value: { primary: { r: { master_secret: '1', name: '2' } } } } },
  },
});
const body = { cred_def_id: 'cd', bundle };
const give = 'POST /oca-bundles';
const patch = { cred_def_id: 'cd', issuer_id: 'did:algo:issuer', bundle };
const id = ocaBundleId('cd');

table('oca-bundle', [
  {
    title: 'is given to a definition of this wallet',
    command: give,
    body: { ...body, bundle: [bundle] },
    loads: { definition: { category: 'cred_def', tag: 'cred_def_id', equals: 'cd' } },
    loaded: definition(),
    effects: { record: { id, role: 'issuer', states: ['active'], patch } },
  },
  {
    title: 'takes the place of the one before, also of one that came with an offer',
    command: give,
    body,
    record: { id, state: 'active', role: 'holder', updated: NOW, value: { ...patch, bundle: {} } },
    loaded: definition(),
    effects: { record: { id, role: 'issuer', states: ['active'], patch } },
  },
  { title: 'is of no unknown definition', command: give, body, error: 'bad-request' },
  { title: 'is of no definition that is not on the ledger yet', command: give, body, loaded: definition('wait'), error: 'bad-request' },
  {
    title: 'names no attribute that the definition has not',
    command: give,
    body: { ...body, bundle: { ...bundle, capture_base: { ...bundle.capture_base, attributes: { salary: 'Numeric' } } } },
    loaded: definition(),
    error: 'unprocessable',
    text: 'bundle: the credential definition has no attribute "salary"',
  },
]);

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wishesOfPreview } from './presentation-preview.ts';

test('a proposed preview is looked for in the wallet: groups by their credential, values as they are, and stated values', () => {
  const preview = {
    attributes: [
      { name: 'degree', cred_def_id: 'cd1' },
      { name: 'name', cred_def_id: 'cd1', referent: 'g', value: 'Ada' },
      { name: 'year', cred_def_id: 'cd1', referent: 'g' },
      { name: 'mood', value: 'good' },
    ],
    predicates: [{ name: 'age', cred_def_id: 'cd2', predicate: '>=' as const, threshold: 18 }],
  };
  assert.deepEqual(wishesOfPreview(preview), [
    { names: ['degree'], restrictions: { cred_def_id: 'cd1' } },
    { names: ['mood'], restrictions: { 'attr::mood::value': 'good' }, stated: 'good' },
    { names: ['name', 'year'], restrictions: { cred_def_id: 'cd1', 'attr::name::value': 'Ada' } },
    { names: ['age'], restrictions: { cred_def_id: 'cd2' } },
  ]);
});

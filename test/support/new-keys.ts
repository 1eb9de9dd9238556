import { after, before } from 'node:test';

/** Each key of a credential definition in this file, or suite, is made for it (kept-keys.mjs): for tests of the making itself. */
export function makeNewKeys(): void {
  before(() => {
    process.env.FLEXID_NEW_KEYS = '1';
  });
  after(() => {
    delete process.env.FLEXID_NEW_KEYS;
  });
}

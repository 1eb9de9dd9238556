import { defineRecord } from '../kernel/record.ts';

/** A key of the wallet under the name that a controller gave it; the secret is in the key table under `verkey`. */
export interface WalletKeyValue {
  [member: string]: unknown;
  verkey: string;
  multikey: string;
  kid?: string;
}

export const walletKey = defineRecord<WalletKeyValue>({
  category: 'wallet_key',
  idField: 'multikey',
  states: ['stored'],
  view: ({ value }) => ({ kid: value.kid ?? null, multikey: value.multikey }),
  tags: (value) => ({ verkey: value.verkey, kid: value.kid }),
  admin: { tag: 'wallet', notFound: 'No key of this multikey is in the wallet' },
});

import { defineRecord } from '../kernel/record.ts';

/** The number of the last backup of a wallet: it rises with each that is begun, so that of two backups the newer one has the higher. */
export interface WalletBackupValue {
  [member: string]: unknown;
  generation: number;
}

export const walletBackup = defineRecord<WalletBackupValue>({
  category: 'wallet_backup',
  idField: 'id',
  states: ['counted'],
  view: ({ value }) => ({ generation: value.generation }),
  tags: () => ({}),
});

import { not, type Requirement } from './requirement.ts';

const BACKUP = 'there is no wallet backup';

/** Backup and recovery of a wallet. */
export const BACKUP_ROWS: readonly Requirement[] = [
  not('S2-45', 'wallet backup', BACKUP),
  not('S2-46', 'wallet restore', BACKUP),
  not('S2-47', 'keys of a backup are the owner’s alone', BACKUP),
  not('S2-48', 'offline and social recovery', BACKUP),
];

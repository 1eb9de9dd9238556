import { type Requirement, shown } from './requirement.ts';

/** Backup and recovery of a wallet. */
export const BACKUP_ROWS: readonly Requirement[] = [
  shown('S2-45', 'wallet backup', {
    file: 'src/backup/export.ts',
    from: 'const generation = Math.max((row?.value.generation as number | undefined) ?? 0, after) + 1;',
    to: 'const generation = 1;',
  }),
  shown('S2-46', 'wallet restore', { file: 'src/backup/import.ts', from: 'await adoption.finish();', to: '' }),
  shown('S2-47', 'keys of a backup are the owner’s alone', {
    file: 'src/backup/container.ts',
    from: 'const key = randomBytes(32);',
    to: 'const key = Buffer.alloc(randomBytes(32).length);',
  }),
  shown('S2-48', 'offline and social recovery', {
    file: 'src/records/recovery-share.ts',
    from: "...(record.role === 'claimant' && record.value.share !== undefined && { share: record.value.share }),",
    to: '...(record.value.share !== undefined && { share: record.value.share }),',
  }),
];

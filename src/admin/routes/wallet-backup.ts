import { Readable } from 'node:stream';
import { AppError } from '../../errors.ts';
import Type from '../../kernel/type.ts';
import { walletBackup } from '../../records/wallet-backup.ts';
import type { Admin, AdminRoute } from '../route.ts';

/** Backups that are written at once, over all wallets: each reads all of a wallet. */
const AT_ONCE = 2;

/** The longest time of one: a client that does not read holds a place. */
const LONGEST_MS = 15 * 60_000;

const running = new WeakMap<object, Set<string>>();

/** Holds a place until the text was read or given up. @throws AppError `busy` */
async function* inTurn({ kernel }: Admin, tenant: string, begin: () => Promise<AsyncIterable<string>>): AsyncGenerator<string> {
  const held = running.get(kernel) ?? new Set();
  running.set(kernel, held);
  if (held.has(tenant) || held.size >= AT_ONCE) throw new AppError('busy', 'A backup is being written: come back when it has ended');
  held.add(tenant);
  try {
    yield* await begin();
  } finally {
    held.delete(tenant);
  }
}

/** @throws AppError `forbidden` where the operator does not allow backups, and for a token that may only write: a backup is all that the wallet has */
async function checkAllowed({ kernel, config }: Admin, tenant: string, token: string | undefined): Promise<void> {
  if (config['wallet-backup'] !== true)
    throw new AppError('forbidden', 'Wallets give out no keys here: the agent runs without --wallet-backup');
  if (token === undefined) return;
  const { scope } = (await kernel.profiles.of(tenant)).tokens?.find(({ jti }) => jti === token) ?? {};
  if (scope && !scope.includes('read')) throw new AppError('forbidden', 'The token does not allow to read');
}

/** A wallet's own backups. */
export const walletBackupRoutes: readonly AdminRoute[] = [
  {
    route: 'POST /wallet/backup',
    tag: 'wallet',
    summary: 'Copy the wallet into a container that only the words of a recovery key open',
    body: Type.Object({ recovery_public_key: Type.String({ maxLength: 60, pattern: '^z6LS[1-9A-HJ-NP-Za-km-z]+$' }) }),
    produces: 'application/vnd.flexid.backup',
    async handle(admin, { tenant, token, body }) {
      await checkAllowed(admin, tenant, token);
      const { db } = admin.kernel;
      const text = inTurn(admin, tenant, async () => {
        const publicKey = body.recovery_public_key as string;
        const { exportContainer } = await import('../../backup/export.ts');
        return (await exportContainer({ db, base: admin.base, publicKey, wallet: tenant, extent: 'copy' })).text;
      });
      // a failure before the first line is an answer; after it, the end of the container is missing
      const first = await text.next();
      const stream = Readable.from(joined(first.value as string, text));
      const timer = setTimeout(() => stream.destroy(new AppError('unavailable', 'The backup took too long to fetch')), LONGEST_MS);
      timer.unref();
      return stream.once('close', () => clearTimeout(timer));
    },
  },
  {
    route: 'GET /wallet/backup',
    tag: 'wallet',
    summary: 'The number of the last backup that was begun',
    async handle({ kernel }, { tenant }) {
      const [[row] = []] = await kernel.db.store.load(tenant, [{ category: walletBackup.category, id: 'last' }]);
      return row ? walletBackup.view(walletBackup.of(row)) : { generation: 0 };
    },
  },
];

async function* joined(first: string, rest: AsyncGenerator<string>): AsyncGenerator<string> {
  try {
    yield first;
    yield* rest;
  } finally {
    await rest.return(undefined);
  }
}

import { Readable } from 'node:stream';
import { AppError } from '../../errors.ts';
import Type from '../../kernel/type.ts';
import { walletBackup } from '../../records/wallet-backup.ts';
import { createBackupPlaces } from '../backup-places.ts';
import type { Admin, AdminRoute } from '../route.ts';

/** How often a client's pace is looked at. */
const LOOK_MS = 5_000;

const places = new WeakMap<object, ReturnType<typeof createBackupPlaces>>();

/** The places of an instance. */
function placesOf({ kernel }: Admin): ReturnType<typeof createBackupPlaces> {
  const known = places.get(kernel) ?? createBackupPlaces(() => performance.now());
  places.set(kernel, known);
  return known;
}

/** @throws AppError `forbidden` where the operator does not allow backups, and for a token that may only write: a backup is all that the wallet has */
async function checkAllowed({ kernel, config }: Admin, tenant: string, token: string | undefined): Promise<void> {
  if (config['wallet-backup'] !== true)
    throw new AppError('forbidden', 'Wallets give out no keys here: the agent runs without --wallet-backup');
  if (token === undefined) return;
  const { scope } = (await kernel.profiles.of(tenant)).tokens?.find(({ jti }) => jti === token) ?? {};
  if (scope && !scope.includes('read')) throw new AppError('forbidden', 'The token does not allow to read');
}

/** A copy of a wallet in a container, as it is written. @throws AppError `busy`, `bad-request` for another public key */
export async function backupOf(admin: Admin, tenant: string, publicKey: string): Promise<Readable> {
  const { db } = admin.kernel;
  const place = placesOf(admin).take(tenant);
  let text: AsyncGenerator<string>;
  let first: IteratorResult<string>;
  try {
    const { exportContainer } = await import('../../backup/export.ts');
    text = place.pieces((await exportContainer({ db, base: admin.base, publicKey, wallet: tenant, extent: 'copy' })).text);
    // a failure before the first line is an answer; after it, the end of the container is missing
    first = await text.next();
  } catch (error) {
    place.end();
    throw error;
  }
  const stream = Readable.from(joined(first.value, text));
  const timer = setInterval(() => {
    const fault = place.fault();
    if (fault) stream.destroy(fault);
  }, LOOK_MS);
  timer.unref();
  return stream.once('close', () => clearInterval(timer));
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
      return await backupOf(admin, tenant, body.recovery_public_key as string);
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

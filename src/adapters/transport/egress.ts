import dns from 'node:dns';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import ipaddr from 'ipaddr.js';
import { AppError } from '../../errors.ts';
import { IPV4_SPECIAL, IPV6_GLOBAL, IPV6_SPECIAL, LOCAL_TRANSLATION, type Range } from './egress-ranges.ts';

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Net = readonly [Address, number];

/** Decides which addresses a message may be sent to (house rule: private and loopback need `--egress-allow`). */
export interface EgressGuard {
  /** @throws AppError `egress-refused` for a URL that can be refused without looking anything up */
  checkUrl(endpoint: string): URL;
  /** @throws AppError `egress-refused` */
  checkAddress(address: string, port: number): void;
  /** A `lookup` for sockets that never answers a refused address. */
  lookup: (
    hostname: string,
    options: dns.LookupOptions,
    callback: (error: NodeJS.ErrnoException | null, ...result: never[]) => void,
  ) => void;
}

/** @throws Error for what is no range */
function netOf(text: string): Net {
  const [network = '', prefix, more] = text.split('/');
  const family = isIP(network);
  if (family === 0 || more !== undefined || (prefix !== undefined && !/^\d{1,3}$/.test(prefix)))
    throw new Error(`not an address range: ${text}`);
  return ipaddr.parseCIDR(`${network}/${prefix ?? (family === 6 ? 128 : 32)}`);
}

const inNet = (address: Address, [network, bits]: Net): boolean =>
  address.kind() === network.kind() && address.match(network as never, bits);

interface Known extends Range {
  readonly net: Net;
}
/** Read with the first address: a start has none, and would wait for the regular expressions of both families. */
let ranges: { readonly special: readonly Known[]; readonly global: Net } | undefined;
function known(): NonNullable<typeof ranges> {
  ranges ??= {
    special: [...IPV4_SPECIAL, ...IPV6_SPECIAL].map((one) => ({ ...one, net: netOf(one.cidr) })),
    global: netOf(IPV6_GLOBAL),
  };
  return ranges;
}

/** An address of a text that `isIP` takes, without a zone; `::ffff:10.0.0.1` is 10.0.0.1. */
function addressOf(text: string): Address {
  const parsed = ipaddr.parse(text.replace(/%.*$/s, ''));
  return parsed.kind() === 'ipv6' && (parsed as ipaddr.IPv6).isIPv4MappedAddress() ? (parsed as ipaddr.IPv6).toIPv4Address() : parsed;
}

/** The IPv4 addresses that an address of a range leads to, or may: where a translator or a tunnel finds them in it. */
function embedded(address: Address, { ipv4At, name }: Range): Address[] {
  if (ipv4At === undefined) return [];
  const bytes = address.toByteArray();
  const at = (byte: number): Address => ipaddr.fromByteArray(bytes.slice(byte, byte + 4));
  // RFC 4380 section 4: the server, and the client with every bit turned
  if (name === 'Teredo') return [at(4), ipaddr.fromByteArray(bytes.slice(12).map((byte) => byte ^ 0xff))];
  const last = at(ipv4At / 8);
  if (name !== LOCAL_TRANSLATION || bytes[8] !== 0) return [last];
  // RFC 8215 section 5: who translates chooses a prefix within this one. RFC 6052 section 2.2: the address may stand around byte 8, which is zero
  const around = [6, 7, 8].map((byte) => bytes.slice(byte, byte + 5).filter((_, i) => byte + i !== 8));
  const some = [...around, last.toByteArray()].filter(([first]) => first !== 0).map((four) => ipaddr.fromByteArray(four));
  // where nothing stands none is meant, unless nothing stands anywhere
  return some.length > 0 ? some : [last];
}

/** The IPv4 address that the second half of an IPv6 one holds under any prefix: ISATAP, RFC 5214 section 6.1. */
function inInterface(address: Address): Address[] {
  if (address.kind() !== 'ipv6') return [];
  const bytes = address.toByteArray();
  const isatap = (bytes[8]! & 0xfd) === 0 && bytes[9] === 0 && bytes[10] === 0x5e && bytes[11] === 0xfe;
  return isatap ? [ipaddr.fromByteArray(bytes.slice(12))] : [];
}

/** The rule of an address: of the ranges that hold it the strictest, and that of the IPv4 addresses in it. */
function ruleOf(address: Address): { rule: Range['rule']; name: string } {
  const strictness = { open: 0, closed: 1, never: 2 } as const;
  const { special, global } = known();
  const found = special.filter(({ net }) => inNet(address, net));
  // the narrowest range decides whether it is for everybody; one that is never reached is not, however narrow another is
  const [narrowest] = found.toSorted((a, b) => b.net[1] - a.net[1]);
  const outside: Pick<Range, 'rule' | 'name'>[] =
    address.kind() === 'ipv6' && !narrowest && !inNet(address, global) ? [{ rule: 'closed', name: 'not handed out' }] : [];
  const inner = [...(narrowest ? embedded(address, narrowest) : []), ...inInterface(address)].map(ruleOf);
  const all = [...(narrowest ? [narrowest] : []), ...found.filter(({ rule }) => rule === 'never'), ...outside, ...inner];
  return all.reduce<{ rule: Range['rule']; name: string }>(
    (worst, { rule, name }) => (strictness[rule] > strictness[worst.rule] ? { rule, name } : worst),
    { rule: 'open', name: 'global' },
  );
}

/** Whether an address is one of this machine's: then a port of ours may be behind it. */
function isOwn(address: Address, bound: string | undefined): boolean {
  const text = address.toNormalizedString();
  const own = Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map((one) => one.address));
  return [...own, ...(bound !== undefined && isIP(bound) ? [bound] : [])].some((one) => addressOf(one).toNormalizedString() === text);
}

/** Whether the ranges permit one address, whatever its port. */
interface Verdict {
  readonly address: Address;
  /** Not public, and not allowed by a setting: the reason. */
  readonly refused?: string;
  readonly closed: boolean;
}
/** Addresses whose verdict is kept: it depends on settings alone. */
const MAX_VERDICTS = 4096;

/** The admin port and address of this agent, once it is bound. */
export interface AdminPort {
  readonly port: number;
  readonly host?: string;
}

/**
 * A guard that allows public addresses and `allow` (CIDR ranges).
 * @param admin our own admin port: refused on every address of this machine, and on every one that is not public
 * @throws Error for a range that is none
 */
export function egressGuard(allow: readonly string[], admin: () => AdminPort | undefined = () => undefined): EgressGuard {
  const allowed = allow.map(netOf);
  const refuse = (why: string): never => {
    throw new AppError('egress-refused', `The endpoint is not allowed: ${why}`);
  };
  const isAllowed = (address: Address): boolean => allowed.some((net) => inNet(address, net));

  const verdicts = new Map<string, Verdict>();

  function verdictOf(given: string): Verdict {
    if (!isIP(given)) refuse('it is no address');
    const address = addressOf(given);
    const { rule, name } = ruleOf(address);
    const closed = rule === 'closed';
    if (rule === 'never') return { address, closed, refused: `${address} is never allowed (${name})` };
    if (closed && !isAllowed(address) && !translatesAllowed(address))
      return { address, closed, refused: `${address} is a private address (${name}; see --egress-allow)` };
    return { address, closed };
  }

  function checkAddress(given: string, port: number): void {
    const verdict = verdicts.get(given) ?? verdictOf(given);
    if (verdicts.size >= MAX_VERDICTS) verdicts.clear();
    verdicts.set(given, verdict);
    const { address, closed, refused } = verdict;
    if (refused !== undefined) refuse(refused);
    const own = admin();
    if (own && port === own.port && (closed || isOwn(address, own.host))) refuse('it is the admin port of this agent');
  }

  /** A translation of an IPv4 address that is allowed is allowed, where nothing but that address is closed about it. */
  function translatesAllowed(address: Address): boolean {
    const translation = known().special.find(({ net, rule, ipv4At }) => rule === 'open' && ipv4At !== undefined && inNet(address, net));
    return translation !== undefined && embedded(address, translation).every(isAllowed);
  }

  return {
    checkAddress,
    checkUrl(endpoint) {
      let url: URL;
      try {
        url = new URL(endpoint);
      } catch {
        return refuse('it is not a URL');
      }
      if (url.protocol !== 'http:' && url.protocol !== 'https:') refuse(`the scheme ${url.protocol.slice(0, 20)} is not supported`);
      if (url.username || url.password) refuse('it carries credentials');
      const host = url.hostname.replace(/^\[|\]$/g, '');
      if (isIP(host)) checkAddress(host, Number(url.port || (url.protocol === 'https:' ? 443 : 80)));
      return url;
    },
    lookup(hostname, options, callback) {
      dns.lookup(hostname, { ...options, all: true }, (error, addresses) => {
        if (error) return callback(error);
        try {
          // the port is checked on the socket; here it is enough that no refused range is answered
          for (const { address } of addresses) checkAddress(address, 0);
        } catch (refused) {
          return callback(refused as NodeJS.ErrnoException);
        }
        if (options.all) (callback as (e: null, a: dns.LookupAddress[]) => void)(null, addresses);
        else (callback as (e: null, a: string, f: number) => void)(null, addresses[0]!.address, addresses[0]!.family);
      });
    },
  };
}

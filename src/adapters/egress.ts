import dns from 'node:dns';
import { BlockList, isIP } from 'node:net';
import { AppError } from '../errors.ts';

/** Addresses that no endpoint may name, whatever is allowed: this-network, link-local (cloud metadata), multicast, broadcast. */
const NEVER_V4 = ['0.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4', '240.0.0.0/4'];
const NEVER_V6 = ['::/128', 'fe80::/10', 'ff00::/8'];
/** Loopback, private and shared ranges (RFC 6890): allowed only where the operator says so. */
const PRIVATE_V4 = [
  '127.0.0.0/8',
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
];
const PRIVATE_V6 = ['::1/128', 'fc00::/7', '64:ff9b::/96', '2001:db8::/32'];

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

function list(...ranges: readonly string[][]): BlockList {
  const out = new BlockList();
  for (const range of ranges.flat()) {
    const [network, prefix] = range.split('/');
    const family = isIP(network ?? '');
    if (family === 0) throw new Error(`not an address range: ${range}`);
    out.addSubnet(network!, prefix === undefined ? (family === 6 ? 128 : 32) : Number(prefix), family === 6 ? 'ipv6' : 'ipv4');
  }
  return out;
}

/** `::ffff:10.0.0.1` is 10.0.0.1. */
const plain = (address: string): string => address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '');

/**
 * A guard that allows public addresses and `allow` (CIDR ranges).
 * @param adminPort our own admin port, known once it is bound: refused on every address of this machine
 * @throws Error for a range that is none
 */
export function egressGuard(allow: readonly string[], adminPort: () => number | undefined = () => undefined): EgressGuard {
  const never = list(NEVER_V4, NEVER_V6);
  const closed = list(PRIVATE_V4, PRIVATE_V6);
  const allowed = list([...allow]);
  const refuse = (why: string): never => {
    throw new AppError('egress-refused', `The endpoint is not allowed: ${why}`);
  };

  function checkAddress(given: string, port: number): void {
    const address = plain(given);
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    if (never.check(address, family)) refuse(`${address} is never allowed`);
    if (closed.check(address, family)) {
      if (!allowed.check(address, family)) refuse(`${address} is a private address (see --egress-allow)`);
      if (port === adminPort()) refuse('it is the admin port of this agent');
    }
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

/**
 * Which addresses are not for everybody, as data: the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890, RFC 8190) in their order, and below them what
 * other registries and RFCs set aside. `closed` is opened by `--egress-allow` alone, `never` by nothing, `open` stands for globally reachable.
 */
export interface Range {
  readonly cidr: string;
  readonly name: string;
  readonly rule: 'open' | 'closed' | 'never';
  /** It holds an IPv4 address, which is judged too: at which bit it begins. */
  readonly ipv4At?: number;
}

const range = (cidr: string, name: string, rule: Range['rule'], ipv4At?: number): Range => ({
  cidr,
  name,
  rule,
  ...(ipv4At === undefined ? {} : { ipv4At }),
});

/** https://www.iana.org/assignments/iana-ipv4-special-registry */
export const IPV4_SPECIAL: readonly Range[] = [
  range('0.0.0.0/8', 'this network', 'never'),
  range('0.0.0.0/32', 'this host on this network', 'never'),
  range('10.0.0.0/8', 'private use', 'closed'),
  range('100.64.0.0/10', 'shared address space', 'closed'),
  range('127.0.0.0/8', 'loopback', 'closed'),
  range('169.254.0.0/16', 'link local', 'never'),
  range('172.16.0.0/12', 'private use', 'closed'),
  range('192.0.0.0/24', 'IETF protocol assignments', 'closed'),
  range('192.0.0.0/29', 'IPv4 service continuity prefix', 'closed'),
  range('192.0.0.8/32', 'IPv4 dummy address', 'closed'),
  // of the registry's anycast addresses nobody is a peer: they lead to the nearest router
  range('192.0.0.9/32', 'Port Control Protocol anycast', 'closed'),
  range('192.0.0.10/32', 'Traversal Using Relays around NAT anycast', 'closed'),
  range('192.0.0.170/32', 'NAT64/DNS64 discovery', 'closed'),
  range('192.0.0.171/32', 'NAT64/DNS64 discovery', 'closed'),
  range('192.0.2.0/24', 'documentation (TEST-NET-1)', 'closed'),
  range('192.31.196.0/24', 'AS112-v4', 'open'),
  range('192.52.193.0/24', 'AMT', 'open'),
  range('192.88.99.0/24', '6to4 relay anycast, deprecated', 'closed'),
  range('192.88.99.2/32', '6a44 relay anycast', 'closed'),
  range('192.168.0.0/16', 'private use', 'closed'),
  range('192.175.48.0/24', 'direct delegation AS112 service', 'open'),
  range('198.18.0.0/15', 'benchmarking', 'closed'),
  range('198.51.100.0/24', 'documentation (TEST-NET-2)', 'closed'),
  range('203.0.113.0/24', 'documentation (TEST-NET-3)', 'closed'),
  range('240.0.0.0/4', 'reserved', 'never'),
  range('255.255.255.255/32', 'limited broadcast', 'never'),
  // the registry of multicast addresses
  range('224.0.0.0/4', 'multicast', 'never'),
  // metadata services of clouds that are not at link-local addresses
  range('100.100.100.200/32', 'cloud metadata', 'never'),
  range('168.63.129.16/32', 'cloud metadata', 'never'),
  range('192.0.0.192/32', 'cloud metadata', 'never'),
];

/** Its prefixes are chosen by whoever translates, and with them the place of the IPv4 address. */
export const LOCAL_TRANSLATION = 'IPv4-IPv6 translation, local use';

/** https://www.iana.org/assignments/iana-ipv6-special-registry; what is in none of these and not in 2000::/3 is nobody's yet, and closed. */
export const IPV6_SPECIAL: readonly Range[] = [
  range('::1/128', 'loopback', 'closed'),
  range('::/128', 'unspecified', 'never'),
  range('::ffff:0:0/96', 'IPv4-mapped', 'open', 96),
  range('64:ff9b::/96', 'IPv4-IPv6 translation', 'open', 96),
  range('64:ff9b:1::/48', LOCAL_TRANSLATION, 'closed', 96),
  range('100::/64', 'discard only', 'closed'),
  range('100:0:0:1::/64', 'dummy prefix', 'closed'),
  range('2001::/23', 'IETF protocol assignments', 'closed'),
  range('2001::/32', 'Teredo', 'closed', 32),
  range('2001:1::1/128', 'Port Control Protocol anycast', 'closed'),
  range('2001:1::2/128', 'Traversal Using Relays around NAT anycast', 'closed'),
  range('2001:1::3/128', 'DNS-SD Service Registration Protocol anycast', 'closed'),
  range('2001:2::/48', 'benchmarking', 'closed'),
  range('2001:3::/32', 'AMT', 'open'),
  range('2001:4:112::/48', 'AS112-v6', 'open'),
  range('2001:10::/28', 'ORCHID, deprecated', 'closed'),
  // identifiers that are no places (RFC 7343, RFC 9374)
  range('2001:20::/28', 'ORCHIDv2', 'closed'),
  range('2001:30::/28', 'Drone Remote ID Protocol entity tags', 'closed'),
  range('2001:db8::/32', 'documentation', 'closed'),
  range('2002::/16', '6to4', 'closed', 16),
  range('2620:4f:8000::/48', 'direct delegation AS112 service', 'open'),
  range('3fff::/20', 'documentation', 'closed'),
  range('5f00::/16', 'segment routing identifiers', 'closed'),
  range('fc00::/7', 'unique local', 'closed'),
  range('fe80::/10', 'link local', 'never'),
  // RFC 4291 section 2.7
  range('ff00::/8', 'multicast', 'never'),
  // RFC 4291 section 2.5.5.1, RFC 2765 section 2.1, RFC 3879
  range('::/96', 'IPv4-compatible, deprecated', 'closed', 96),
  range('::ffff:0:0:0/96', 'IPv4-translated', 'closed', 96),
  range('fec0::/10', 'site local, deprecated', 'closed'),
  // metadata, credentials, names and time of instances are at several addresses of this prefix
  range('fd00:ec2::/32', 'cloud metadata', 'never'),
  range('fd20:ce::254/128', 'cloud metadata', 'never'),
];

/** Global unicast: what of IPv6 was given to be handed out. */
export const IPV6_GLOBAL = '2000::/3';

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AppError } from '../../errors.ts';
import { type EgressGuard, egressGuard } from './egress.ts';
import { IPV4_SPECIAL, IPV6_SPECIAL, type Range } from './egress-ranges.ts';

const refuses = (guard: EgressGuard, address: string, port = 80): boolean => {
  try {
    guard.checkAddress(address, port);
    return false;
  } catch (error) {
    assert.ok(error instanceof AppError && error.code === 'egress-refused', String(error));
    return true;
  }
};
const closed = egressGuard([]);
const wide = egressGuard(['0.0.0.0/0', '::/0']);

/** The first and the last address of a range, worked out apart from the guard. */
function ends({ cidr }: Range): [string, string] {
  const [network = '', bits = ''] = cidr.split('/');
  const v6 = network.includes(':');
  const width = v6 ? 128n : 32n;
  const value = v6 ? numberOf6(network) : network.split('.').reduce((sum, part) => (sum << 8n) | BigInt(part), 0n);
  const last = value | ((1n << (width - BigInt(bits))) - 1n);
  return [value, last].map((one) => (v6 ? text6(one) : text4(one))) as [string, string];
}
const text4 = (value: bigint): string => [24n, 16n, 8n, 0n].map((at) => (value >> at) & 255n).join('.');
const text6 = (value: bigint): string =>
  Array.from({ length: 8 }, (_, i) => ((value >> BigInt(112 - 16 * i)) & 65535n).toString(16)).join(':');
function numberOf6(text: string): bigint {
  const [head = '', tail] = text.split('::');
  const groups = (part: string): string[] => part.split(':').filter(Boolean);
  const [left, right] = [groups(head), groups(tail ?? '')];
  const all = tail === undefined ? left : [...left, ...Array(8 - left.length - right.length).fill('0'), ...right];
  return all.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n);
}
/** Ranges within the one that have a rule of their own at its ends. */
const OTHERWISE: Record<string, readonly string[]> = { '::/96': ['::'], '2001::/23': ['2001::'] };

for (const one of [...IPV4_SPECIAL, ...IPV6_SPECIAL]) {
  test(`${one.cidr} (${one.name}) is ${one.rule}`, () => {
    const own = egressGuard([one.cidr]);
    for (const address of ends(one)) {
      if (OTHERWISE[one.cidr]?.some((other) => numberOf6(other) === numberOf6(address))) continue;
      // an address that holds another is as open as that one
      const inner = one.ipv4At === undefined ? 'open' : 'unknown';
      if (inner === 'unknown' && one.rule === 'open') continue;
      assert.equal(refuses(closed, address), one.rule !== 'open', `${address} without --egress-allow`);
      if (inner === 'open') assert.equal(refuses(own, address), one.rule === 'never', `${address} with --egress-allow ${one.cidr}`);
    }
  });
}

/** IPv4 addresses and what comes of them, in each form in which IPv6 can hold one. */
const HELD: readonly [ipv4: string, rule: Range['rule']][] = [
  ['127.0.0.1', 'closed'],
  ['10.1.2.3', 'closed'],
  ['192.168.1.1', 'closed'],
  ['100.64.0.1', 'closed'],
  ['169.254.169.254', 'never'],
  ['0.0.0.0', 'never'],
  ['224.0.0.1', 'never'],
  ['255.255.255.255', 'never'],
  ['100.100.100.200', 'never'],
  ['8.8.8.8', 'open'],
];
const hex = (ipv4: string): string => {
  const [a, b, c, d] = ipv4.split('.').map((part) => Number(part).toString(16).padStart(2, '0'));
  return `${a}${b}:${c}${d}`;
};
const turned = (ipv4: string): string =>
  hex(
    ipv4
      .split('.')
      .map((part) => 255 - Number(part))
      .join('.'),
  );
const FORMS: readonly { name: string; form: (ipv4: string) => string; itself: Range['rule'] }[] = [
  { name: 'mapped', form: (ip) => `::ffff:${hex(ip)}`, itself: 'open' },
  { name: 'mapped, with points', form: (ip) => `::ffff:${ip}`, itself: 'open' },
  { name: 'NAT64', form: (ip) => `64:ff9b::${hex(ip)}`, itself: 'open' },
  { name: 'NAT64 of one’s own', form: (ip) => `64:ff9b:1::${hex(ip)}`, itself: 'closed' },
  { name: 'translated', form: (ip) => `::ffff:0:${hex(ip)}`, itself: 'closed' },
  { name: 'compatible', form: (ip) => `::${hex(ip)}`, itself: 'closed' },
  { name: '6to4', form: (ip) => `2002:${hex(ip)}::1`, itself: 'closed' },
  { name: 'Teredo client', form: (ip) => `2001:0:0808:0808:0:0:${turned(ip)}`, itself: 'closed' },
  { name: 'Teredo server', form: (ip) => `2001:0:${hex(ip)}:0:0:f7f7:f7f7`, itself: 'closed' },
];
for (const { name, form, itself } of FORMS) {
  test(`IPv4 in IPv6, ${name}: judged as IPv4`, () => {
    for (const [ipv4, rule] of HELD) {
      const address = form(ipv4);
      assert.equal(refuses(closed, address), rule !== 'open' || itself !== 'open', address);
      if (rule === 'never' && !(name === 'compatible' && ipv4 === '0.0.0.0'))
        assert.ok(refuses(wide, address), `${address} whatever is allowed`);
      if (rule === 'closed') assert.equal(refuses(wide, address), false, `${address} where it is allowed`);
      // what opens the IPv4 address opens no tunnel to it
      if (rule === 'closed') assert.equal(refuses(egressGuard([`${ipv4}/32`]), address), itself !== 'open', address);
    }
  });
}

test('IPv4 in IPv6 wherever a translator of one’s own, or an interface, has it', () => {
  const translators = egressGuard(['64:ff9b:1::/48']);
  // 169.254.169.254 under prefixes of 48, 56, 64 and 96 bits
  for (const address of ['64:ff9b:1:a9fe:a9:fe00::', '64:ff9b:1:a9:fe:a9fe::', '64:ff9b:1:0:a9:fea9:fe00:0', '64:ff9b:1::a9fe:a9fe'])
    assert.ok(refuses(translators, address), address);
  for (const address of [
    '64:ff9b:1:808:8:800::',
    '64:ff9b:1:8:8:808::',
    '64:ff9b:1:0:8:808:800:0',
    '64:ff9b:1::808:808',
    '64:ff9b:1:7::a00:1',
  ])
    assert.equal(refuses(translators, address), false, address);
  for (const prefix of ['2001:4860:4860:0:0', '2001:4860:4860:0:200']) {
    assert.ok(refuses(closed, `${prefix}:5efe:a00:1`));
    assert.ok(refuses(wide, `${prefix}:5efe:a9fe:a9fe`));
    assert.equal(refuses(closed, `${prefix}:5efe:808:808`), false);
  }
  for (const address of ['fd00:ec2::23', 'fd00:ec2::253', '192.0.0.192']) assert.ok(refuses(wide, address), address);
});

test('unassigned IPv6 is closed, and global addresses are open', () => {
  for (const address of ['4000::1', '1::1', '200::1', 'e000::1', '::2:0:0:1']) assert.ok(refuses(closed, address), address);
  for (const address of [
    '2606:4700::1111',
    '2a00:1450:4001::1',
    '2001:4860:4860::8888',
    '2620:4f:8000::1',
    '1.1.1.1',
    '172.32.0.1',
    '192.0.1.1',
    '100.128.0.1',
    '198.20.0.1',
    '223.255.255.255',
  ])
    assert.equal(refuses(closed, address), false, address);
});

test('--egress-allow opens what it names and no more, with zones and single addresses', () => {
  const guard = egressGuard(['10.0.0.0/8', '192.168.1.7', 'fd12::/16', '2002::/16']);
  for (const address of ['10.255.255.255', '192.168.1.7', 'fd12::1', 'fd12::1%eth0', '2002:a00:1::1'])
    assert.equal(refuses(guard, address), false, address);
  for (const address of ['192.168.1.8', 'fd13::1', 'fe80::1', 'fe80::1%eth0', '2002:a9fe:a9fe::1', 'no address', ''])
    assert.ok(refuses(guard, address), address);
  for (const wrong of ['x', '10.0.0.0/33', '10.0.0.0/', '10.0.0/8', '::/129', '10.0.0.0/8/8'])
    assert.throws(() => egressGuard([wrong]), Error, wrong);
});

test('URLs are judged by the address that they come to', () => {
  const guard = egressGuard([]);
  for (const url of [
    'http://2130706433/',
    'http://0x7f.1/',
    'http://127.1:80/',
    'http://[::ffff:7f00:1]/',
    'http://[2002:7f00:1::]/',
    'http://0/',
    'https://u@1.1.1.1/',
    'ftp://1.1.1.1/',
    'http://①②⑦.0.0.1/',
  ])
    assert.throws(() => guard.checkUrl(url), AppError, url);
  assert.equal(guard.checkUrl('http://1.1.1.1/x').hostname, '1.1.1.1');
});

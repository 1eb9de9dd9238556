import type { Row } from '../rows/rows.ts';

const EGRESS = 'src/adapters/transport/egress.ts';

export const MUTATIONS: readonly Row[] = [
  {
    id: 'A14',
    text: 'special-purpose ranges are closed',
    mutation: {
      file: EGRESS,
      from: 'if (closed && !isAllowed(address)',
      to: "if (closed && address.kind() === 'ipv4' && !isAllowed(address)",
    },
  },
  {
    id: 'A14-2',
    text: 'an IPv4 address in an IPv6 one is judged',
    mutation: {
      file: EGRESS,
      from: 'const inner = [...(narrowest ? embedded(address, narrowest) : []), ...inInterface(address)].map(ruleOf);',
      to: 'const inner = inInterface(address).map(ruleOf);',
    },
  },
  {
    id: 'A14-3',
    text: 'the own admin port is refused on public addresses too',
    mutation: { file: EGRESS, from: '(closed || isOwn(address, own.host))', to: 'closed' },
  },
];

import { met, not, type Requirement, shown } from './requirement.ts';

/** The kinds of agents, and the edge agent. */
export const AGENTS_ROWS: readonly Requirement[] = [
  not('S2-04', 'four types of agents', 'there are no roles'),
  not('S2-05', 'every type does all identity actions', 'there are no roles'),
  not('S2-06', 'one instance blends types', 'there are no roles'),
  shown('S2-07', 'a mobile edge agent acts for a person', {
    file: 'edge/questions.ts',
    from: "if (decision === 'no') await decline(family, id);",
    to: '',
  }),
  shown('S2-08', 'an edge agent may issue', { file: 'edge/verbs/issue.ts', from: 'auto_issue: true,', to: 'auto_issue: false,' }),
  shown('S2-09', 'an edge agent holds keys and link secret', {
    file: 'edge/options.ts',
    from: "store: join(folder, 'wallet.db'),",
    to: "store: ':memory:',",
  }),
  shown('S2-10', 'cloud agents are for transport only', {
    file: 'src/message-formats/didcomm-v1.ts',
    from: 'pack({ message: JSON.stringify(message), recipients, sender });',
    to: 'pack({ message: JSON.stringify(message), recipients: [...recipients, ...(to.routingKeys ?? [])], sender });',
  }),
  met('S2-11', 'an endpoint that is always there'),
  met('S2-12', 'an endpoint that looks the same for all users of an agency'),
];

import { met, not, type Requirement } from './requirement.ts';

const EDGE = 'there is no edge agent with its own keys behind a cloud agent';

/** The kinds of agents, and the edge agent. */
export const AGENTS_ROWS: readonly Requirement[] = [
  not('S2-04', 'four types of agents', 'there are no roles'),
  not('S2-05', 'every type does all identity actions', 'there are no roles'),
  not('S2-06', 'one instance blends types', 'there are no roles'),
  not('S2-07', 'a mobile edge agent acts for a person', EDGE),
  not('S2-08', 'an edge agent may issue', EDGE),
  not('S2-09', 'an edge agent holds keys and link secret', EDGE),
  not('S2-10', 'cloud agents are for transport only', EDGE),
  met('S2-11', 'an endpoint that is always there'),
  met('S2-12', 'an endpoint that looks the same for all users of an agency'),
];

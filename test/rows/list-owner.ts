import { not, type Requirement } from './requirement.ts';

const OWNER = 'there is no owner of an institution agent that talks to it by encrypted messages; controllers use the admin API';
const EXAMPLE = 'its example is not there';

/** The owner of an institution agent, and the API for configuration. */
export const OWNER_ROWS: readonly Requirement[] = [
  not('S2-13', 'an institution edge agent runs on a server', 'there are no roles'),
  not('S2-14', 'business rules are configured by messages', OWNER),
  not('S2-15', 'the institution agent holds the keys of its organisation', OWNER),
  not('S2-16', 'business knowledge is injected', OWNER),
  not('S2-17', 'the owner controls the agent', OWNER),
  not('S2-18', 'the owner integrates existing systems', EXAMPLE),
  not('S2-19', 'a publisher works from a stream of events', EXAMPLE),
  not('S2-20', 'owner and agent talk by encrypted messages', OWNER),
  not('S2-21', 'the owner has no wallet', OWNER),
  not('S2-22', 'encryption keys are injected', OWNER),
  not('S2-23', 'the owner has a schema made', OWNER),
  not('S2-24', 'the owner has a credential definition made', OWNER),
  not('S2-25', 'the owner has a credential issued', OWNER),
  not('S2-26', 'the owner registers handlers', OWNER),
  not('S2-27', 'handlers are optional', OWNER),
  not('S2-28', 'an API for configuration', OWNER),
];

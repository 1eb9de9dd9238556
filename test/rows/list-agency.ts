import { met, not, type Requirement } from './requirement.ts';

const CLOUD =
  'the agency of 2018 (cloud agents of edge agents, provisioned by messages) is not there; mediation and pickup do this for wallets of today';
const EDGE = 'there is no edge agent with its own keys behind a cloud agent';

/** The agency: cloud agents, the endpoint, mail that waits. */
export const AGENCY_ROWS: readonly Requirement[] = [
  met('S2-29', 'a persistent endpoint for an edge agent'),
  not('S2-30', 'an agency of cloud agents', CLOUD),
  met('S2-31', 'the agency is a queue that is always there'),
  not(
    'S2-32',
    'the endpoint knows only enough to decide what is next',
    'the ingress is not a process of its own without the keys of tenants',
  ),
  not('S2-33', 'the payload is passed on encrypted', CLOUD),
  met('S2-34', 'several edge agents of one owner'),
  met('S2-35', 'the agency holds the keys of the endpoint'),
  met('S2-36', 'a retired Endpoint DID still opens mail'),
  met('S2-37', 'what was opened finds its recipient'),
  met('S2-38', 'an edge agent is contacted when it has mail'),
  not('S2-39', 'mail is queued for the edge', 'payloads of 2018 are not queued for agents behind a mediator'),
  not('S2-40', 'outgoing mail of the edge is relayed', CLOUD),
  not('S2-41', 'the edge configures, backs up and restores by messages', CLOUD),
  not('S2-42', 'cloud and edge auth-crypt to each other', CLOUD),
  not('S2-43', 'a cloud agent has no keys to the content', EDGE),
  met('S2-44', 'mail waits while the edge is away'),
  not('S2-49', 'an agent without a cloud agent looks like any other', CLOUD),
  not('S2-50', 'an institution agent behind a cloud agent', 'connections of 2018 do not go through mediators'),
];

import { type Body, freePort, type Spec, type TestAgent, until, type World } from './agents.ts';

/** Support for tests: an agency, and edge agents without a listener whose only way to anybody is that agency. */

/** An address of the loopback that only the agency has: an edge whose egress guard allows this one alone reaches nobody else. */
const AGENCY_HOST = '127.0.0.2';

export interface TestAgency extends TestAgent {
  /** Where it listens, for posts and sockets. */
  readonly address: string;
  /** The invitation that every edge may answer. */
  readonly invitation: string;
}

export async function startAgency(world: World, name: string, spec: Spec & { readonly at?: number } = {}): Promise<TestAgency> {
  const port = String(spec.at ?? (await freePort()));
  const address = `http://${AGENCY_HOST}:${port}`;
  const listening = ['http', 'ws'].flatMap((module) => ['--inbound-transport', module, AGENCY_HOST, port]);
  const agent = await world.start(name, {
    ...spec,
    noInbound: true,
    flags: [
      ...['--agency', '--open-mediation', '--auto-accept-requests', ...listening],
      ...['--endpoint', address, address.replace('http', 'ws'), ...(spec.flags ?? [])],
    ],
  });
  const { url } = await agent.agent.invitation();
  return { ...agent, address, invitation: url };
}

const EDGE = ['--auto-accept-invites', '--auto-accept-requests'];

export interface TestEdge extends TestAgent {
  /** Its own record of its cloud agent. */
  readonly device: Body;
}

/**
 * An edge agent, once its cloud agent is there.
 * @param spec `code`: of another device of the same owner, whose cloud agent it joins
 */
export async function startEdge(
  world: World,
  name: string,
  agency: Pick<TestAgency, 'invitation'>,
  { code, ...spec }: Spec & { readonly code?: string } = {},
): Promise<TestEdge> {
  const flags = [code === undefined ? '--agency-invitation' : '--mediator-invitation', agency.invitation];
  const agent = await world.start(name, {
    ...spec,
    noInbound: true,
    flags: [...EDGE, ...flags, '--egress-allow', `${AGENCY_HOST}/32`, ...(spec.flags ?? [])],
  });
  if (code !== undefined) {
    const mediation = await until(
      async () => (await agent.get('/mediation/requests?state=granted')).results[0],
      `the mediation of ${name}`,
    );
    await agent.post(`/agency/provision/${mediation.connection_id}`, { code });
  }
  const device = await until(async () => {
    const { results } = await agent.get('/agency/devices?role=edge&state=provisioned');
    return results[0];
  }, `the cloud agent of ${name}`);
  return { ...agent, device };
}

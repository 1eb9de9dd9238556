import { type Name, SETTINGS } from './settings.ts';
import { ConfigError, checked } from './values.ts';

/** The command that runs a mediator. */
export const MEDIATOR = 'start mediator';
/** The command that runs an agency: a mediator with cloud agents. */
export const AGENCY = 'start agency';

/** Where a mediator takes messages, unless others are given: one port for both. */
const MEDIATOR_INBOUND = ['http', 'ws'].map((module) => [module, '0.0.0.0', '3000']);
/** Addresses to listen on, which are no addresses of a peer. */
const ANYWHERE = /^(?:0\.0\.0\.0|::|\[::\])$/;

/** The settings of `start mediator` and `start agency` where none were given; given addresses are completed. @throws ConfigError */
export function mediatorPreset(given: (name: Name) => unknown, command: string): Partial<Record<Name, unknown>> {
  const inbound = checked(SETTINGS.inbound, given('inbound') ?? MEDIATOR_INBOUND) as string[][];
  if (command === AGENCY && given('legacy') === 'off')
    throw new ConfigError('--legacy off: an agency has the endpoint of the 2018 Agent Protocol; start mediator runs without it');
  return {
    agency: command === AGENCY ? (given('agency') ?? true) : given('agency'),
    openMediation: given('openMediation') ?? true,
    autoAcceptRequests: given('autoAcceptRequests') ?? true,
    inbound,
    endpoints: mediatorEndpoints((checked(SETTINGS.endpoints, given('endpoints')) ?? []) as string[], inbound),
  };
}

/** Where wallets find a mediator: what was given, or else its first port; and for WebSockets the same address, where one port takes both. */
function mediatorEndpoints(given: readonly string[], inbound: readonly (readonly string[])[]): readonly string[] {
  const [first] = inbound;
  const urls = given.length > 0 || !first ? given : [`${first[0]}://${first[1]}:${first[2]}`];
  if (urls.length === 0 || urls.some((url) => URL.canParse(url) && ANYWHERE.test(new URL(url).hostname)))
    throw new ConfigError(
      '--endpoint: give the address at which wallets reach this mediator, as in --endpoint https://mediator.example.com',
    );
  const both = inbound.some(([module, host, port]) => module === 'ws' && inbound.some((one) => `${one}` === `http,${host},${port}`));
  return both && !urls.some((url) => /^wss?:/i.test(url)) ? [...urls, urls[0]!.replace(/^http/i, 'ws')] : urls;
}

import { createRequire } from 'node:module';

/**
 * The parts of undici that are used here. Its entry loads four times as much: fetch, caches, mocks. The package has no list of exports, and its version is exact
 * in package.json.
 */
const require = createRequire(import.meta.url);
type Undici = typeof import('undici');

export const Agent: Undici['Agent'] = require('undici/lib/dispatcher/agent.js');
export type Agent = InstanceType<Undici['Agent']>;
export const buildConnector: Undici['buildConnector'] = require('undici/lib/core/connect.js');
const { request: requestBy } = require('undici/lib/api/index.js') as { request: Agent['request'] };

/** A request by an agent, whose answer is read as a stream. */
export const request: (agent: Agent, options: Parameters<Agent['request']>[0]) => ReturnType<Agent['request']> = (agent, options) =>
  requestBy.call(agent, options) as ReturnType<Agent['request']>;

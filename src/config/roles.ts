import type { Config } from './settings.ts';

/** A type of agent in the terms of the 2018 text ("Agent types"). */
export type Role = 'institution' | 'cloud' | 'edge' | 'hub';

/** The condition of each type on the settings. */
const ROLES: Readonly<Record<Role, (config: Config) => boolean>> = {
  /** It runs on a server, where its peers reach it, and acts for who governs it: controllers, or an owner by messages. */
  institution: (config) => listens(config) && (config.admin !== undefined || config.ownerKeys.length > 0),
  /** It keeps and forwards mail for others. */
  cloud: (config) => config.openMediation,
  /** Nobody reaches it: it has its mail from a mediator. */
  edge: (config) => !listens(config),
  /** It keeps encrypted documents for others. */
  hub: (config) => config.hub,
};

const listens = ({ inbound, noTransport }: Config): boolean => inbound.length > 0 && !noTransport;

/** The types that a configuration blends, in the order of the table. */
export const rolesOf = (config: Config): Role[] => (Object.keys(ROLES) as Role[]).filter((role) => ROLES[role](config));

import { hashId } from '../kernel/ids.ts';

/** The `kind` of a mediator's own routing key (RFC 0094). */
export const MEDIATION = 'mediation';

/** The name under which a mediated key's owner is stored; forwards look it up. No key of this agent has such a name. */
export const mediatedName = (tenant: string, verkey: string): string => `mediated ${tenant} ${verkey}`;

/**
 * The mediation of a connection, one for each role: the same connection has the same id, so that two requests at once are one. Connections of before ids had
 * the version nibble 4 keep the mediations that they have, whose nibble is 8.
 */
export const mediationId = (role: 'server' | 'client', connection: string): string =>
  hashId(`mediation ${role} ${connection}`, connection[14] === '4' ? 4 : 8);

/** The name that is invalidated when the devices of a connection change. */
export const deviceName = (connection: string): string => `device:${connection}`;

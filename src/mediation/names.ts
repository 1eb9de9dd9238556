import { OWN_PREFIX } from '../didcomm/message-types.ts';
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

/** The protocol of agencies: a mediator that keeps cloud agents too. */
export const AGENCY_URI = `${OWN_PREFIX}agency/1.0`;

/** The device of a connection, one for each side of it. */
export const edgeDeviceId = (role: 'agency' | 'edge', connection: string): string => hashId(`edge device ${role} ${connection}`);

/** The name that is invalidated when the devices of a connection's cloud agent change. */
export const fellowsName = (connection: string): string => `fellows:${connection}`;

/** The name that is invalidated when a newer copy of the wallet of a connection is known: the sockets of the older one have its mail no more. */
export const copiesName = (tenant: string, connection: string): string => `copies:${tenant} ${connection}`;

/** The name that is invalidated when the devices of a connection change. */
export const deviceName = (connection: string): string => `device:${connection}`;

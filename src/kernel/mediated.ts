/** The kind of a route that a mediator's own routing key has (RFC 0094). */
export const MEDIATION = 'mediation';

/** The name of the route of a key that somebody has registered with a mediator of this instance: the key itself may be another tenant's own. */
export const mediatedRoute = (tenant: string, verkey: string): string => `mediated ${tenant} ${verkey}`;

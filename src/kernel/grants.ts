import { OWN_PREFIX } from '../didcomm/message-types.ts';
import type { LoadedRecord } from './record.ts';

/** The grant of the family agent-config, which events go by too. */
export const EVENTS_GRANT = 'agent-config';
/** A message that an event is, to the peer of a connection. */
export const EVENT_TYPE = `${OWN_PREFIX}${EVENTS_GRANT}/1.0/event`;

/** Whether a connection was given a grant: by its operator alone, never by its peer or by metadata. */
export const isGranted = (connection: Pick<LoadedRecord, 'value'> | undefined, grant: string): boolean =>
  ((connection?.value.grants ?? []) as readonly string[]).includes(grant);

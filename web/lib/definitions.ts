import { type Answer, call } from './api.ts';
import { t } from './i18n.ts';

/** Schemas and credential definitions of the ledger. They never change, so each is read once. */

export interface Definition {
  readonly id: string;
  readonly issuer: string;
  readonly tag: string;
  readonly schemaId: string;
  readonly name: string;
  readonly version: string;
  readonly attributes: readonly string[];
  readonly revocable: boolean;
}

const read = new Map<string, Promise<Answer>>();

/** What `get` answers for an id, read once. */
function once(id: string, get: () => Promise<Answer>): Promise<Answer> {
  const known = read.get(id) ?? get();
  read.set(id, known);
  known.catch(() => read.delete(id));
  return known;
}

/** One definition, of whatever issuer. */
export async function definition(id: string): Promise<Definition> {
  const { credential_definition: found } = await once(id, () =>
    call('get_anoncreds_credential_definition_cred_def_id', { params: { cred_def_id: id } }),
  );
  const { schema } = await once(found.schemaId, () => call('get_anoncreds_schema_schema_id', { params: { schema_id: found.schemaId } }));
  return {
    id,
    issuer: found.issuerId,
    tag: found.tag,
    schemaId: found.schemaId,
    name: schema.name,
    version: schema.version,
    attributes: schema.attrNames,
    revocable: found.value?.revocation !== undefined,
  };
}

/** The wallet's own definitions. */
export async function ownDefinitions(): Promise<Definition[]> {
  const { credential_definition_ids: ids } = await call('get_anoncreds_credential_definitions');
  return await Promise.all((ids as string[]).map(definition));
}

/** Its name for people: the schema's, with what tells it from others. */
export const nameOf = ({ name, version, tag }: Definition): string => t('definition.name', { name, version, tag });

const AGAIN_MS = 1000;
const TRIES = 300;

/** Orders a write on the ledger, and asks again until it is finished: repeated, the order is the same one. @throws Error in the agent's words */
export async function finished(operation: string, body: object, member: string): Promise<Answer> {
  for (let tries = 0; tries < TRIES; tries++) {
    const answer = await call(operation, { body });
    const state = answer[member];
    if (state.state === 'finished') return state;
    if (state.state === 'failed') throw new Error(state.reason ?? answer.registration_metadata?.reason ?? t('error.ledger'));
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
  throw new Error(t('error.still-working'));
}

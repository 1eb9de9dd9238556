import { AppError } from '../errors.ts';
import { checkedAs } from '../kernel/json.ts';
import type { WorkContext, WorkOps } from '../kernel/work.ts';
import type { AnonCredsSchema, CredentialDefinition } from '../ports/anoncreds.ts';
import type { JsonObject } from '../ports/json.ts';

/** AnonCreds' objects that are no credential: schemas and credential definitions of the ledger, keys of the wallet. */

const LINK_SECRET = 'link-secret';

/** A stored secret as the JSON object that it is, and back. */
export const json = (bytes: Uint8Array): JsonObject => JSON.parse(Buffer.from(bytes).toString('utf8')) as JsonObject;
export const bytes = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value), 'utf8');

export const readSchema = async (ctx: WorkContext, id: string): Promise<AnonCredsSchema> =>
  checkedAs<AnonCredsSchema>(await ctx.ledger().read(id, 'SCHEMA'));
export const readDefinition = async (ctx: WorkContext, id: string): Promise<CredentialDefinition> =>
  checkedAs<CredentialDefinition>(await ctx.ledger().read(id, 'CLAIM_DEF'));

/** The holder's link secret; made at its first use. Two that make it at once agree on the one that was stored first. */
export async function linkSecret(ctx: WorkContext): Promise<string> {
  for (;;) {
    const stored = await ctx.store.key(ctx.tenant, LINK_SECRET);
    if (stored) return Buffer.from(stored.secret).toString('utf8');
    const secret = await ctx.anoncreds.createLinkSecret(ctx.tenant);
    try {
      await ctx.store.commit(ctx.tenant, { keys: [{ kid: LINK_SECRET, type: 'link-secret', secret: Buffer.from(secret, 'utf8') }] });
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'conflict') throw error;
    }
  }
}

/** The slow work of schemas and credential definitions. */
export const anoncredsObjectWork: WorkOps = {
  'anoncreds/schema': async (ctx, { schema }: { schema: AnonCredsSchema }) => {
    const object = await ctx.anoncreds.createSchema(ctx.tenant, schema);
    return { id: ctx.ledger().idOf(object.issuerId, 'SCHEMA', object as never), object };
  },

  'anoncreds/credential-definition': async (
    ctx,
    input: { issuerId: string; schemaId: string; tag: string; supportRevocation?: boolean },
  ) => {
    const schema = await readSchema(ctx, input.schemaId);
    const made = await ctx.anoncreds.createCredentialDefinition(ctx.tenant, { ...input, schema });
    const object = made.credentialDefinition;
    return {
      id: ctx.ledger().idOf(object.issuerId, 'CLAIM_DEF', object as never),
      object,
      schema: { issuerId: schema.issuerId, name: schema.name, version: schema.version },
      secret: bytes({ private: made.private, proof: made.keyCorrectnessProof }),
    };
  },
};

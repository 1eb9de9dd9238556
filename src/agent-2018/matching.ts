import { toBase58 } from '../didcomm/encoding.ts';
import { contactOf } from '../dids/contact.ts';
import { methodKey } from '../dids/did-doc.ts';
import { AppError } from '../errors.ts';
import { verifyAnonCreds } from '../formats/anoncreds-presentation.ts';
import { encodeValues } from '../formats/anoncreds-values.ts';
import type { WorkContext, WorkOps } from '../kernel/work.ts';
import type { JsonObject } from '../ports/json.ts';
import type { DidDocument } from '../ports/ledger.ts';
import type { StoredRecord } from '../ports/store.ts';
import { carriedBy } from './objects.ts';

/** Exchanges of one connection that may wait for the same kind of object. */
const MAX_OPEN = 200;

/** The first Ed25519 key of a document, and its address where it has a DIDComm service. */
function keyOfDocument(document: DidDocument): { verkey: string; endpoint?: string } | null {
  try {
    const { recipientKeys, endpoint } = contactOf(document);
    return { verkey: recipientKeys[0]!, endpoint };
  } catch {
    for (const method of [document.verificationMethod ?? []].flat()) {
      const key = methodKey(method as Record<string, unknown>);
      if (key?.type === 'ed25519') return { verkey: toBase58(key.bytes) };
    }
    return null;
  }
}

/** The open exchanges of a connection in one state, oldest first. */
async function open(ctx: WorkContext, category: string, connection: string, state: string): Promise<StoredRecord[]> {
  return (await ctx.store.find(ctx.tenant, category, { connection, state, limit: MAX_OPEN })).rows;
}

const objectOf = (row: StoredRecord, member: string): JsonObject | undefined => carriedBy((row.value[member] ?? {}) as JsonObject)?.object;

/** The exchange that an object belongs to, as the protocol goes on with it: its thread and the format that it was begun in; null for none. */
function found(row: StoredRecord | undefined, member: string): { thid: string; format: string } | null {
  const thid = row?.value.thread_id as string | undefined;
  if (row === undefined || thid === undefined) return null;
  return { thid, format: carriedBy((row.value[member] ?? {}) as JsonObject)?.name ?? 'indy' };
}

/** Whether a call of the engine accepts what it is given; an engine that is busy or away is no answer. */
async function accepts(call: Promise<unknown>): Promise<boolean> {
  try {
    await call;
    return true;
  } catch (error) {
    if (error instanceof AppError && (error.code === 'anoncreds-failed' || error.code === 'bad-request')) return false;
    throw error;
  }
}

const decoded = (secret: Uint8Array): JsonObject => JSON.parse(Buffer.from(secret).toString('utf8')) as JsonObject;

/**
 * The slow work of the 2018 Agent Protocol: its DIDs, and which exchange a message without a thread belongs to. Two exchanges about one credential definition are
 * identified only by what was proved in them; never by which was last.
 */
export const agent2018Work: WorkOps = {
  'agent-2018/resolve': async (ctx, { dids, echo }: { dids: string[]; echo: JsonObject }) => {
    const found: Record<string, { verkey: string; endpoint?: string } | null> = {};
    for (const did of dids) {
      try {
        found[did] = keyOfDocument((await ctx.resolver.resolve(did)).document);
      } catch (error) {
        if (!(error instanceof AppError) || error.row.retry) throw error;
        found[did] = null;
      }
    }
    return { found, echo };
  },

  'agent-2018/match-credential_request': async (ctx, input: { connection: string; echo: { object: JsonObject } }) => {
    const request = input.echo.object;
    for (const row of await open(ctx, 'cred_ex_v20', input.connection, 'offer-sent')) {
      const offer = objectOf(row, 'cred_offer');
      const id = offer?.cred_def_id;
      if (!offer || id !== request.cred_def_id) continue;
      const key = await ctx.store.key(ctx.tenant, `cred-def:${id}`);
      if (!key) continue;
      const definition = await ctx.ledger().read(String(id), 'CLAIM_DEF');
      const attributes = ((row.value.cred_preview as JsonObject | undefined)?.attributes ?? []) as { name: string; value: string }[];
      // the request's correctness proof is made over the offer's nonce: only with the right one can a credential be made
      const issue = ctx.anoncreds.createCredential(ctx.tenant, {
        credentialDefinition: definition as never,
        private: decoded(key.secret).private as JsonObject,
        offer,
        request,
        values: encodeValues(Object.fromEntries(attributes.map(({ name, value }) => [name, value]))),
      });
      if (await accepts(issue)) return { found: found(row, 'cred_offer'), echo: input.echo };
    }
    return { found: null, echo: input.echo };
  },

  'agent-2018/match-credential': async (ctx, input: { connection: string; echo: { object: JsonObject } }) => {
    const credential = input.echo.object;
    const secret = await ctx.store.key(ctx.tenant, 'link-secret');
    for (const row of secret ? await open(ctx, 'cred_ex_v20', input.connection, 'request-sent') : []) {
      const id = objectOf(row, 'cred_offer')?.cred_def_id;
      const metadata = id === credential.cred_def_id ? await ctx.store.key(ctx.tenant, `cred-request:${row.id}`) : undefined;
      if (!metadata) continue;
      const process = ctx.anoncreds.processCredential(ctx.tenant, {
        credential,
        metadata: decoded(metadata.secret),
        linkSecret: Buffer.from(secret!.secret).toString('utf8'),
        credentialDefinition: (await ctx.ledger().read(String(id), 'CLAIM_DEF')) as never,
      });
      if (await accepts(process)) return { found: found(row, 'cred_offer'), echo: input.echo };
    }
    return { found: null, echo: input.echo };
  },

  'agent-2018/match-proof': async (ctx, input: { connection: string; nonce: string | null; echo: { object: JsonObject } }) => {
    const rows = await open(ctx, 'pres_ex_v20', input.connection, 'request-sent');
    const asked = rows.map((row) => ({ row, request: objectOf(row, 'pres_request') }));
    if (input.nonce !== null) {
      const named = asked.find(({ request }) => request?.nonce === input.nonce);
      return { found: found(named?.row, 'pres_request'), echo: input.echo };
    }
    for (const { row, request } of asked) {
      if (!request) continue;
      const { verified } = await verifyAnonCreds(ctx, request as never, input.echo.object as never);
      if (verified) return { found: found(row, 'pres_request'), echo: input.echo };
    }
    // a proof that verifies nowhere is a wrong answer to what was asked first
    return { found: found(rows[0], 'pres_request'), echo: input.echo };
  },
};

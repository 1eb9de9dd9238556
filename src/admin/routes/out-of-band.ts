import Type from 'typebox';
import { urlOfInvitation } from '../../didcomm/invitation-url.ts';
import { AppError } from '../../errors.ts';
import { compact, isoTime, type loadedRecord } from '../../kernel/record.ts';
import { linkNames, shortUrl } from '../../kernel/short-links.ts';
import type { Store, StoredRecord } from '../../ports/store.ts';
import { type ConnectionValue, connection } from '../../records/connection.ts';
import { did } from '../../records/did.ts';
import { Invitation, type OutOfBandValue, outOfBand } from '../../records/out-of-band.ts';
import type { AdminRoute } from '../route.ts';

const Bool = Type.Boolean();
/** How long the key of a deleted invitation is kept, so that whoever answers the invitation can be told. */
const CLOSED_MS = 30 * 24 * 3600_000;

/** Invitations by their own id, beside the records of them. */
export const outOfBandRoutes: readonly AdminRoute[] = [
  {
    route: 'POST /out-of-band/receive-invitation',
    tag: 'out-of-band',
    summary: 'Receive a new connection invitation',
    query: Type.Object({
      alias: Type.Optional(Type.String({ maxLength: 1000 })),
      auto_accept: Type.Optional(Bool),
      use_existing_connection: Type.Optional(Bool),
      mediation_id: Type.Optional(Type.String()),
    }),
    body: Type.Object({ invitation_url: Type.Optional(Type.String({ minLength: 1 })), ...Type.Partial(Invitation).properties }),
    async handle({ kernel, calls, invitationAt }, { tenant, query, body, key }) {
      const { protocol, name, body: schema } = kernel.registry.command('out-of-band', 'receive-invitation');
      const { invitation_url: url } = body;
      if (url === undefined) schema!.parse(body, 'unprocessable');
      // nothing is fetched for a wallet that may not receive it
      if ((await kernel.profiles.of(tenant)).settings.noReceiveInvites)
        throw new AppError('forbidden', 'Configuration does not allow receipt of invitations');
      const invitation = url === undefined ? body : await invitationAt(tenant, url as string);
      if (url !== undefined && !schema!.check(invitation))
        throw new AppError('bad-request', 'invitation_url: what it leads to is no out-of-band invitation');
      return await calls.call(tenant, protocol.name, name, { input: { body: invitation, query }, key });
    },
  },
  {
    route: 'GET /out-of-band/invitations',
    tag: 'out-of-band',
    summary: 'Fetch Out of Band Invitation',
    query: Type.Object({ oob_id: Type.String() }),
    async handle(admin, { tenant, query }) {
      const [rows] = await admin.kernel.db.store.load(tenant, [{ category: outOfBand.category, id: query.oob_id! }]);
      if (!rows?.[0]) throw new AppError('not-found', `Record not found: ${outOfBand.category}/${query.oob_id}. WALLET_ITEM_NOT_FOUND`);
      const { id, created, updated, value } = outOfBand.of(rows[0]);
      const { settings } = await admin.kernel.profiles.of(tenant);
      return compact({
        created_at: isoTime(created),
        updated_at: isoTime(updated),
        trace: false,
        invi_msg_id: value.invi_msg_id,
        invitation: value.invitation,
        invitation_url: urlOfInvitation(settings.endpoint, value.invitation),
        short_url: value.short && shortUrl(settings, value.short),
        oob_id: id,
      });
    },
  },
  {
    route: 'DELETE /out-of-band/invitations/{invi_msg_id}',
    tag: 'out-of-band',
    summary: 'Delete records associated with invitation',
    async handle(admin, { tenant, params }) {
      const message = params.invi_msg_id!;
      const { store } = admin.kernel.db;
      const records = await allOf(store, tenant, outOfBand.category, { invi_msg_id: message });
      const connections = await allOf(store, tenant, connection.category, { invitation_msg_id: message });
      if (records.length + connections.length === 0)
        throw new AppError('not-found', `Record not found: ${outOfBand.category}/${message}. WALLET_ITEM_NOT_FOUND`);
      for (const row of records) {
        const key = (row.value as unknown as OutOfBandValue).our_recipient_key;
        await admin.engine.transition({
          tenant,
          protocol: admin.kernel.registry.protocol('out-of-band'),
          record: { category: outOfBand.category, id: row.id },
          load: key === undefined ? {} : { own: { category: did.category, tag: 'verkey', equals: key } },
          from: '*',
          origin: {},
          otherwise: 'error',
          step(ctx) {
            // the key of a DID serves other invitations and connections too
            const removedKeys = key !== undefined && ctx.record!.role === 'sender' && !ctx.loaded.own ? [key] : [];
            return {
              record: { remove: true },
              removedKeyOwners: linkNames(ctx.record!.value.short),
              // its slot at a mediator is given up at once; here it is kept, so that who answers the invitation hears that it is not open
              deregisterKeys: ctx.record!.value.mediated ? removedKeys : undefined,
              next: removedKeys.map((verkey) => ({
                command: 'remove-key',
                record: { category: outOfBand.category, id: row.id },
                input: { verkey },
                after: CLOSED_MS,
              })),
            };
          },
        });
      }
      for (const row of connections) {
        await admin.engine.transition({
          tenant,
          protocol: admin.kernel.registry.protocol('did-exchange'),
          record: { category: connection.category, id: row.id },
          from: '*',
          origin: {},
          otherwise: 'error',
          step: (ctx) => ({
            record: { remove: true },
            ...connection.removed?.(ctx.record as unknown as ReturnType<typeof loadedRecord<ConnectionValue>>),
          }),
        });
      }
      return {};
    },
  },
];

/** All records of a kind that have these tags, the oldest first: the connection that an invitation is goes before those of its guests. */
async function allOf(store: Store, tenant: string, category: string, tags: Readonly<Record<string, string>>): Promise<StoredRecord[]> {
  const all: StoredRecord[] = [];
  for (let cursor: string | undefined; ; ) {
    const { rows, next } = await store.find(tenant, category, { tags, cursor });
    all.push(...rows);
    if (next === undefined) return all;
    cursor = next;
  }
}

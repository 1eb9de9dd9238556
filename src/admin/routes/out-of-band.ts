import { urlOfInvitation } from '../../didcomm/invitation-url.ts';
import { AppError } from '../../errors.ts';
import { compact, isoTime, type RecordDef } from '../../kernel/record.ts';
import { shortUrl } from '../../kernel/short-links.ts';
import Type from '../../kernel/type.ts';
import type { Store, StoredRecord } from '../../ports/store.ts';
import { connection } from '../../records/connection.ts';
import { Invitation, outOfBand } from '../../records/out-of-band.ts';
import { removeRecord } from '../removal.ts';
import type { AdminRoute } from '../route.ts';

const Bool = Type.Boolean();

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
        const body = { verkey: outOfBand.of(row).value.our_recipient_key };
        await admin.calls.call(tenant, 'out-of-band', 'remove', { record: row.id, input: { body, query: {} } });
      }
      for (const row of connections) await removeRecord(admin, tenant, connection as RecordDef, row.id);
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

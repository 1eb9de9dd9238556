import Type from 'typebox';
import { AppError } from '../../errors.ts';
import { compact, isoTime, toExchange } from '../../kernel/record.ts';
import { type ConnectionValue, connection } from '../../records/connection.ts';
import { did } from '../../records/did.ts';
import { type OutOfBandValue, outOfBand } from '../../records/out-of-band.ts';
import type { AdminRoute } from '../route.ts';

/** How long the key of a deleted invitation is kept, so that whoever answers the invitation can be told. */
const CLOSED_MS = 30 * 24 * 3600_000;

/** Invitations by their own id, beside the records of them. */
export const outOfBandRoutes: readonly AdminRoute[] = [
  {
    route: 'GET /out-of-band/invitations',
    tag: 'out-of-band',
    summary: 'Fetch Out of Band Invitation',
    query: Type.Object({ oob_id: Type.String() }),
    async handle(admin, { tenant, query }) {
      const [rows] = await admin.kernel.db.store.load(tenant, [{ category: outOfBand.category, id: query.oob_id! }]);
      if (!rows?.[0]) throw new AppError('not-found', `Record not found: ${outOfBand.category}/${query.oob_id}. WALLET_ITEM_NOT_FOUND`);
      const { id, created, updated, value } = toExchange<OutOfBandValue>(rows[0]);
      const encoded = Buffer.from(JSON.stringify(value.invitation)).toString('base64url');
      return compact({
        created_at: isoTime(created),
        updated_at: isoTime(updated),
        trace: false,
        invi_msg_id: value.invi_msg_id,
        invitation: value.invitation,
        invitation_url: `${(await admin.kernel.profiles.of(tenant)).settings.endpoint}?oob=${encoded}`,
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
      const [records, connections] = await admin.kernel.db.store.load(tenant, [
        { category: outOfBand.category, tag: 'invi_msg_id', equals: message },
        { category: connection.category, tag: 'invitation_msg_id', equals: message },
      ]);
      if (!records?.[0] && !connections?.[0])
        throw new AppError('not-found', `Record not found: ${outOfBand.category}/${message}. WALLET_ITEM_NOT_FOUND`);
      for (const row of records ?? []) {
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
            const gone = key !== undefined && ctx.record!.role === 'sender' && !ctx.loaded.own ? [key] : [];
            return {
              record: { remove: true },
              // its slot at a mediator is given up at once; here it is kept, so that who answers the invitation hears that it is not open
              unmediate: ctx.record!.value.mediated ? gone : undefined,
              next: gone.map((verkey) => ({
                command: 'forget-key',
                record: { category: outOfBand.category, id: row.id },
                input: { verkey },
                after: CLOSED_MS,
              })),
            };
          },
        });
      }
      for (const row of connections ?? []) {
        await admin.engine.transition({
          tenant,
          protocol: admin.kernel.registry.protocol('did-exchange'),
          record: { category: connection.category, id: row.id },
          from: '*',
          origin: {},
          otherwise: 'error',
          step: (ctx) => ({
            record: { remove: true },
            ...connection.removed?.(ctx.record as unknown as ReturnType<typeof toExchange<ConnectionValue>>),
          }),
        });
      }
      return {};
    },
  },
];

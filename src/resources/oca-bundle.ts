import { AppError } from '../errors.ts';
import { bundleIn, ocaBundleId, ocaFault } from '../formats/oca-bundle.ts';
import { command, defineProtocol, NEW } from '../kernel/protocol.ts';
import Type from '../kernel/type.ts';
import type { JsonObject } from '../ports/json.ts';
import { credentialDefinitionRecord } from '../records/anoncreds-credential-definition.ts';
import { type OcaBundleValue, ocaBundle } from '../records/oca-bundle.ts';

/** Looks that issuers give their credentials: one OCA bundle for each credential definition (RFC 0755), which goes with its offers. */
export const ocaBundles = defineProtocol<OcaBundleValue>({
  name: 'oca-bundle',
  uris: [],
  binds: ocaBundle,
  messages: {},
  commands: {
    give: command({
      route: 'POST /oca-bundles',
      tag: 'oca-bundle',
      summary: 'Give the credentials of a credential definition their look, an OCA bundle, in place of the one before',
      body: Type.Object({
        cred_def_id: Type.String({ minLength: 1, maxLength: 1000 }),
        bundle: Type.Union([Type.Object({}), Type.Array(Type.Object({}), { minItems: 1, maxItems: 1 })]),
      }),
      from: [NEW, 'active'],
      about: ({ body }) => ({ category: ocaBundle.category, id: ocaBundleId(body.cred_def_id) }),
      load: ({ body }) => ({ definition: { category: credentialDefinitionRecord.category, tag: 'cred_def_id', equals: body.cred_def_id } }),
      step(ctx, { body: { cred_def_id, bundle } }) {
        const definition = credentialDefinitionRecord.of(ctx.loaded.definition);
        if (definition?.state !== 'finished') throw new AppError('bad-request', 'The credential definition is none of this wallet');
        const one = bundleIn(bundle);
        const fault = ocaFault(one, definition.value.credential_definition ?? {});
        if (fault !== undefined) throw new AppError('unprocessable', `bundle: ${fault}`);
        const patch: OcaBundleValue = { cred_def_id, issuer_id: definition.value.issuerId, bundle: one as JsonObject };
        return { record: { id: ocaBundleId(cred_def_id), role: 'issuer', states: ['active'], patch } };
      },
    }),
  },
});

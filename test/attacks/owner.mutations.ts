import type { Row } from '../rows/rows.ts';

/** The defences around what owners alone may order, and how each is taken out. */
export const MUTATIONS: readonly Row[] = [
  {
    id: 'OW-1',
    text: 'a grant is the operator’s to give: neither a peer nor metadata does',
    mutation: {
      file: 'src/kernel/grants.ts',
      from: 'connection?.value.grants ??',
      to: '(connection?.value.metadata as never)?.["grants"] ??',
    },
  },
  {
    id: 'OW-2',
    text: 'an order that is attached to an invitation is none',
    mutation: { file: 'src/kernel/commands.ts', from: 'if (step.grant !== undefined)', to: 'if (step === undefined)' },
  },
  {
    id: 'OW-3',
    text: 'events go to a connection that is granted them alone',
    mutation: { file: 'src/workers/event-messages.ts', from: ' && isGranted(ctx.record, EVENTS_GRANT)', to: '' },
  },
  {
    id: 'OW-4',
    text: 'a former owner orders nothing, whatever a later start names',
    mutation: { file: 'src/resources/connection.ts', from: '        if (ctx.record?.value.dismissed) return {};\n', to: '' },
  },
  {
    id: 'OW-5',
    text: 'a start gives no owner back what a call has taken',
    mutation: { file: 'src/resources/connection.ts', from: '        if (ctx.record?.value.granted_by_call) return {};\n', to: '' },
  },
];

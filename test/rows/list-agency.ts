// biome-ignore-all lint/suspicious/noTemplateCurlyInString: lines of the product stand here as text

import { met, type Requirement, shown } from './requirement.ts';

/** The agency: cloud agents, the endpoint, mail that waits. */
export const AGENCY_ROWS: readonly Requirement[] = [
  shown('S2-29', 'a persistent endpoint for an edge agent', {
    file: 'src/protocols/agency/agency-steps.ts',
    from: 'endpoint: [endpoint, ...moreEndpoints].find((url) => /^https?:/i.test(url)) ?? endpoint,',
    to: 'endpoint: `${moreEndpoints[0] ?? endpoint}/${ctx.newId()}`.replace(/^ws/, "http"),',
  }),
  shown('S2-30', 'an agency of cloud agents', {
    file: 'src/protocols/agency/agency-steps.ts',
    from: 'const joined = code ? joining(ctx, code, added) : { id: ctx.newId(),',
    to: "const joined = code ? joining(ctx, code, added) : { id: 'the only one',",
  }),
  met('S2-31', 'the agency is a queue that is always there'),
  shown('S2-32', 'the endpoint knows only enough to decide what is next', {
    file: 'src/protocols/agency/agency-steps.ts',
    from: '    others: [...made, ...joined.others, marked(ctx)],\n',
    to: '    others: [...made, ...joined.others, marked(ctx)],\n    keys: [ctx.newKey().write],\n',
  }),
  shown('S2-33', 'the payload is passed on encrypted', {
    file: 'src/mediation/relay.ts',
    from: 'body: pack({ message: JSON.stringify(message), recipients: [recipient] })',
    to: 'body: /proof_request/.test(JSON.stringify(inside)) ? JSON.stringify(message) : pack({ message: JSON.stringify(message), recipients: [recipient] })',
  }),
  met('S2-34', 'several edge agents of one owner'),
  met('S2-35', 'the agency holds the keys of the endpoint'),
  met('S2-36', 'a retired Endpoint DID still opens mail'),
  met('S2-37', 'what was opened finds its recipient'),
  met('S2-38', 'an edge agent is contacted when it has mail'),
  shown('S2-39', 'mail is queued for the edge', {
    file: 'src/agent-2018/format.ts',
    from: 'if (client?.kind === CLOUD_AGENT)',
    to: "if (client?.kind === 'none')",
  }),
  shown('S2-40', 'outgoing mail of the edge is relayed', {
    file: 'src/workers/delivery.ts',
    from: '    if (cloudAgent) return await relay(job, cloudAgent);\n',
    to: '',
  }),
  shown('S2-41', 'the edge configures, backs up and restores by messages', {
    file: 'src/protocols/agency/backup-work.ts',
    from: "    await ctx.blobs.put(partName(order.upload, order.part), Buffer.from(data, 'base64'));\n",
    to: '    void data;\n',
  }),
  shown('S2-42', 'cloud and edge auth-crypt to each other', {
    file: 'src/kernel/trust.ts',
    from: 'const known = connection !== undefined && isPeer(connection, message.sender, now);',
    to: 'const known = connection !== undefined && (pairwise || isPeer(connection, message.sender, now));',
  }),
  shown('S2-43', 'a cloud agent has no keys to the content', {
    file: 'src/message-formats/didcomm-v1.ts',
    from: 'pack({ message: JSON.stringify(message), recipients, sender });',
    to: 'pack({ message: JSON.stringify(message), recipients: [...recipients, ...(to.routingKeys ?? [])], sender });',
  }),
  met('S2-44', 'mail waits while the edge is away'),
  shown('S2-49', 'an agent without a cloud agent looks like any other', {
    file: 'src/agent-2018/connection-requests.ts',
    from: 'body: { did: mine.did, verkey: mine.verkey, request_nonce: nonce, nonce },',
    to: 'body: { did: mine.did, verkey: mine.verkey, request_nonce: nonce, nonce, agency: ctx.settings.cloudAgent?.did },',
  }),
  shown('S2-50', 'an institution agent behind a cloud agent', {
    file: 'src/agent-2018/connection-parts.ts',
    from: '  if (cloudAgent) return { did: cloudAgent.did, verkey: cloudAgent.verkey, endpoint: cloudAgent.endpoint };\n',
    to: '',
  }),
];

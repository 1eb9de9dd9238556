import { createInterface } from 'node:readline';
import { Agent, ConsoleLogger, createPeerDidDocumentFromServices, LogLevel, PeerDidNumAlgo } from '@credo-ts/core';
import {
  DidCommBasicMessageEventTypes,
  DidCommBasicMessageRole,
  DidCommConnectionEventTypes,
  DidCommDiscoverFeaturesEventTypes,
  DidCommHttpOutboundTransport,
  DidCommModule,
  DidCommOutOfBandInvitation,
  DidCommTrustPingEventTypes,
} from '@credo-ts/didcomm';
import { dependencies, HttpDoor, MemoryModule } from './kit.mjs';

/**
 * A Credo agent in a process of its own: `node agent.mjs <port> <label>`. It reads a command per line, `{"id": 1, "do": "ping", ...}`, and writes
 * `{"id": 1, "ok": ...}` or `{"id": 1, "error": "..."}`; what happens by itself is a line `{"event": "message", ...}`. It ends with its standard input.
 */

const [port, label] = process.argv.slice(2);
const out = process.stdout;
const tell = (line) => out.write(`${JSON.stringify(line)}\n`);
const door = new HttpDoor(Number(port));
const logger = new ConsoleLogger(LogLevel.warn);
// standard output is the control channel
for (const name of ['log', 'info', 'warn', 'debug', 'trace']) console[name] = (...what) => console.error(...what);

const agent = new Agent({
  config: { logger, allowInsecureHttpUrls: true },
  dependencies,
  modules: {
    memory: new MemoryModule(),
    didcomm: new DidCommModule({
      endpoints: [door.url],
      transports: { inbound: [door], outbound: [new DidCommHttpOutboundTransport()] },
      connections: { autoAcceptConnections: true },
    }),
  },
});

const view = (connection) =>
  connection && {
    id: connection.id,
    state: connection.state,
    protocol: connection.protocol,
    did: connection.did,
    theirDid: connection.theirDid,
    theirLabel: connection.theirLabel,
    outOfBandId: connection.outOfBandId,
    errorMessage: connection.errorMessage,
  };

const COMMANDS = {
  async invite({ multi = false, did = false, handshake }) {
    const { didcomm, dids } = agent;
    const options = { label, multiUseInvitation: multi, ...(handshake ? { handshakeProtocols: handshake } : {}) };
    if (did) options.invitationDid = await newDid(didcomm, dids);
    const record = await didcomm.oob.createInvitation(options);
    return { id: record.id, invitation: record.outOfBandInvitation.toJSON() };
  },
  async receive({ invitation, reuse = false }) {
    const { connectionRecord, outOfBandRecord } = await agent.didcomm.oob.receiveInvitation(
      DidCommOutOfBandInvitation.fromJson(invitation),
      { label, reuseConnection: reuse },
    );
    return { connection: view(connectionRecord), state: outOfBandRecord.state };
  },
  connected: async ({ connection }) => view(await agent.didcomm.connections.returnWhenIsConnected(connection, { timeoutMs: 15_000 })),
  connection: async ({ connection }) => view(await agent.didcomm.connections.findById(connection)),
  byInvitation: async ({ id }) => (await agent.didcomm.connections.findAllByOutOfBandId(id)).map(view),
  async ping({ connection }) {
    const message = await agent.didcomm.connections.sendPing(connection, { responseRequested: true });
    return { thread: message.threadId };
  },
  /** An invitation of RFC 0160, from before out-of-band. */
  async inviteLegacy() {
    const { invitation, outOfBandRecord } = await agent.didcomm.oob.createLegacyInvitation({ label });
    return { id: outOfBandRecord.id, invitation: invitation.toJSON() };
  },
  async receiveUrl({ url }) {
    const { connectionRecord } = await agent.didcomm.oob.receiveInvitationFromUrl(url, { label });
    return { connection: view(connectionRecord) };
  },
  async discover({ connection, version, match }) {
    const { features } = await agent.didcomm.discovery.queryFeatures({
      connectionId: connection,
      protocolVersion: version,
      queries: [{ featureType: 'protocol', match }],
      awaitDisclosures: true,
    });
    return { features: features.map((one) => one.toJSON()) };
  },
  rotate: ({ connection }) => agent.didcomm.connections.rotate({ connectionId: connection }),
  async hangup({ connection }) {
    await agent.didcomm.connections.hangup({ connectionId: connection, deleteAfterHangup: true });
    return {};
  },
  async message({ connection, content }) {
    await agent.didcomm.basicMessages.sendMessage(connection, content);
    return {};
  },
};

/** A did:peer:2 of ours with our endpoint, as an invitation can name it. */
async function newDid(didcomm, dids) {
  const routing = await didcomm.mediationRecipient.getRouting({});
  const { didDocument, keys } = createPeerDidDocumentFromServices(
    [{ id: 'didcomm', recipientKeys: [routing.recipientKey], routingKeys: [], serviceEndpoint: door.url }],
    true,
  );
  const result = await dids.create({
    method: 'peer',
    didDocument,
    options: { numAlgo: PeerDidNumAlgo.MultipleInceptionKeyWithoutDoc, keys },
  });
  if (!result.didState.did) throw new Error(result.didState.reason);
  return result.didState.did;
}

await agent.initialize();
agent.events.on(DidCommConnectionEventTypes.DidCommConnectionStateChanged, ({ payload }) =>
  tell({ event: 'connection', ...view(payload.connectionRecord) }),
);
agent.events.on(DidCommBasicMessageEventTypes.DidCommBasicMessageStateChanged, ({ payload }) => {
  const { role, content, connectionId } = payload.basicMessageRecord;
  if (role === DidCommBasicMessageRole.Receiver) tell({ event: 'message', connection: connectionId, content });
});
for (const type of [
  DidCommTrustPingEventTypes.DidCommTrustPingReceivedEvent,
  DidCommTrustPingEventTypes.DidCommTrustPingResponseReceivedEvent,
])
  agent.events.on(type, ({ payload }) =>
    tell({
      event: type === DidCommTrustPingEventTypes.DidCommTrustPingReceivedEvent ? 'ping' : 'ping-response',
      connection: payload.connectionRecord.id,
      thread: payload.message.threadId,
    }),
  );
agent.events.on(DidCommConnectionEventTypes.DidCommConnectionDidRotated, ({ payload }) =>
  tell({ event: 'rotated', ...view(payload.connectionRecord), ours: payload.ourDid, theirs: payload.theirDid }),
);
agent.events.on(DidCommDiscoverFeaturesEventTypes.QueryReceived, ({ payload }) =>
  tell({ event: 'query', connection: payload.connection.id, version: payload.protocolVersion }),
);
tell({ event: 'ready', url: door.url });

const lines = createInterface({ input: process.stdin });
lines.on('line', async (line) => {
  const { id, do: name, ...rest } = JSON.parse(line);
  try {
    tell({ id, ok: await COMMANDS[name](rest) });
  } catch (error) {
    tell({ id, error: String(error?.stack ?? error).slice(0, 4000) });
  }
});
lines.on('close', () => process.exit(0));

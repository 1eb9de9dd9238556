import { createInterface } from 'node:readline';
import { Agent, ConsoleLogger, createPeerDidDocumentFromServices, LogLevel, PeerDidNumAlgo } from '@credo-ts/core';
import {
  DidCommBasicMessageEventTypes,
  DidCommBasicMessageRole,
  DidCommConnectionEventTypes,
  DidCommDiscoverFeaturesEventTypes,
  DidCommHttpOutboundTransport,
  DidCommMediationRepository,
  DidCommMessageForwardingStrategy,
  DidCommMessagePickupSessionService,
  DidCommModule,
  DidCommOutOfBandInvitation,
  DidCommTrustPingEventTypes,
  DidCommWsOutboundTransport,
} from '@credo-ts/didcomm';
import { dependencies, HttpDoor, MemoryModule, WebSocketDoor } from './kit.mjs';

/**
 * A Credo agent in a process of its own: `node agent.mjs <port> <label> [wallet | mediator]`. A wallet has no door of its own; a mediator has one more, for
 * WebSockets on the next argument's port, and grants mediation to everybody. More arguments say how it hands mail over, by `ws` that it tells of its WebSockets
 * alone, and by `concurrently` that it handles messages at the same time, which Credo does only if told to. It reads a command per line,
 * `{"id": 1, "do": "ping", ...}`, and writes `{"id": 1, "ok": ...}` or `{"id": 1, "error": "..."}`; what happens by itself is a line
 * `{"event": "message", ...}`. It ends with its standard input.
 */

const [port, label, kind, webSocketPort, strategy = 'DirectDelivery', told, order] = process.argv.slice(2);
const out = process.stdout;
const tell = (line) => out.write(`${JSON.stringify(line)}\n`);
const door = new HttpDoor(Number(port));
const webSocketDoor = kind === 'mediator' ? new WebSocketDoor(Number(webSocketPort)) : undefined;
const doors = kind === 'wallet' ? [] : webSocketDoor ? [door, webSocketDoor] : [door];
const endpoints = (told === 'ws' ? [webSocketDoor] : doors).map(({ url }) => url);
const sockets = new DidCommWsOutboundTransport();
// how long a wallet that polls waits between two questions
const POLL_MS = 300;
const logger = new ConsoleLogger(LogLevel.warn);
// standard output is the control channel
for (const name of ['log', 'info', 'warn', 'debug', 'trace']) console[name] = (...what) => console.error(...what);

// AnonCreds, and what its registry needs, where the environment has it; a test of messages alone needs no library
const given = process.env.CREDO_ANONCREDS;
// the library comes before what takes it
const { anoncreds } = given ? await import('./library.mjs') : {};
const support = given ? await import('./anoncreds.mjs') : undefined;
const anonCreds = await support?.anonCreds(JSON.parse(given), anoncreds);

const agent = new Agent({
  config: { logger, allowInsecureHttpUrls: true },
  dependencies: anonCreds ? { ...dependencies, FileSystem: anonCreds.FileSystem } : dependencies,
  modules: {
    memory: new MemoryModule(),
    ...anonCreds?.modules,
    didcomm: new DidCommModule({
      ...(doors.length > 0 ? { endpoints } : {}),
      transports: { inbound: doors, outbound: [new DidCommHttpOutboundTransport(), ...(kind ? [sockets] : [])] },
      connections: { autoAcceptConnections: true },
      ...anonCreds?.didcomm,
      processDidCommMessagesConcurrently: order === 'concurrently',
      ...(kind === 'wallet'
        ? { mediationRecipient: { mediatorPollingInterval: POLL_MS, maximumMediatorReconnectionIntervalMs: 1000 } }
        : {}),
      ...(kind === 'mediator'
        ? {
            mediator: {
              autoAcceptMediationRequests: true,
              messageForwardingStrategy: DidCommMessageForwardingStrategy[strategy],
            },
          }
        : {}),
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
  async inviteUrl() {
    const { outOfBandInvitation } = await agent.didcomm.oob.createInvitation({ label, multiUseInvitation: true });
    return { url: outOfBandInvitation.toUrl({ domain: door.url }) };
  },
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
  /** Gets mediation by a mediator's invitation, and uses it from now on. */
  async mediate({ url }) {
    const { mediationRecipient, connections, oob } = agent.didcomm;
    const { connectionRecord } = await oob.receiveInvitationFromUrl(url, { label });
    const connection = await connections.returnWhenIsConnected(connectionRecord.id, { timeoutMs: 15_000 });
    const { id, state, endpoint, routingKeys } = await mediationRecipient.provision(connection);
    return { id, state, endpoint, routingKeys, connection: view(connection) };
  },
  /** Begins to fetch, or to wait for, what the mediator has: Implicit, PickUpV2LiveMode, PickUpV2, PickUpV1, or what it finds out by itself. */
  async pickUp({ strategy }) {
    await agent.didcomm.mediationRecipient.initiateMessagePickup(undefined, strategy);
    return {};
  },
  /** Is away: fetches nothing any more, and has no socket. */
  async stopPickUp() {
    await agent.didcomm.mediationRecipient.stopMessagePickup();
    await Promise.all(
      [...sockets.transportTable.values()].map(
        (socket) =>
          new Promise((resolve) => {
            socket.addEventListener('close', resolve);
            socket.close();
          }),
      ),
    );
    return {};
  },
  /** Takes no WebSockets for a while, and ends those that are open. */
  async away({ ms }) {
    await webSocketDoor.stop();
    await new Promise((resolve) => setTimeout(resolve, ms));
    await webSocketDoor.start(agent.context);
    return {};
  },
  /** The keys that it takes mail for, of all its clients. */
  async keys() {
    const mediations = await agent.context.resolve(DidCommMediationRepository).getAll(agent.context);
    return { keys: mediations.flatMap(({ recipientKeys }) => recipientKeys) };
  },
  /** Leaves live mode with everybody, and tells nobody. */
  async forgetLive() {
    const sessions = agent.context.resolve(DidCommMessagePickupSessionService);
    const gone = [...sessions.sessions];
    for (const { connectionId } of gone) sessions.removeLiveSession(agent.context, { connectionId });
    return { count: gone.length };
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
  ...support?.anonCredsCommands(agent),
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
support?.watchAnonCreds(agent, tell);
tell({ event: 'ready', url: endpoints[0] ?? null });

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

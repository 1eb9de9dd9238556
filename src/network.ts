import { createDoor } from './adapters/transport/door.ts';
import { egressGuard } from './adapters/transport/egress.ts';
import { httpInbound, inboundGate } from './adapters/transport/http-inbound.ts';
import { httpOutbound } from './adapters/transport/http-outbound.ts';
import { webDocuments } from './adapters/transport/web-documents.ts';
import { type Frames, takeFrames, wsInbound } from './adapters/transport/ws-inbound.ts';
import { outboundOf, wsOutbound } from './adapters/transport/ws-outbound.ts';
import type { Config } from './config/settings.ts';
import { asSetting } from './config/values.ts';
import { sendMediaType } from './didcomm/media-types.ts';
import { type Listener, openAll } from './listeners.ts';
import type { Log } from './ports/log.ts';
import type { Outbound } from './ports/transport.ts';

/** How long the server of a did:web has to answer. */
const WEB_MS = 5000;
/** Messages that are worked on at once, whatever they came by. */
const MAX_IN_FLIGHT = 1000;

type InboundOptions = Parameters<typeof httpInbound>[1];

interface NetworkParts {
  readonly config: Config;
  readonly log: Log;
  /** Puts spans around the port. */
  readonly outgoing: (outbound: Outbound) => Outbound;
  /** Where the admin API listens: nobody may have a message sent there. */
  readonly adminAddress: () => { readonly port: number; readonly host?: string } | undefined;
}

/** The side that faces peers: mail out, messages in, and the documents of did:web. @throws ConfigError */
export function openNetwork({ config, log, outgoing, adminAddress }: NetworkParts) {
  const guard = asSetting('--egress-allow', () => egressGuard(config.egressAllow, adminAddress));
  const web = webDocuments(guard, WEB_MS);
  const mediaType = sendMediaType(config.oldMimeType);
  const gate = inboundGate(MAX_IN_FLIGHT, config.messageRate);
  const door = asSetting('--trusted-proxy', () =>
    createDoor({ perAddress: config.maxConnectionsPerAddress, trusted: config.trustedProxies, log }),
  );
  const heartbeat = { heartbeatMs: config.wsHeartbeat * 1000, timeoutMs: config.wsTimeout * 1000 };
  let frames: Frames | undefined;
  const outbound = outgoing(
    outboundOf(
      httpOutbound(guard, mediaType, config.outboundTimeout * 1000, config.maxMessageSize),
      wsOutbound(guard, {
        ...heartbeat,
        answerMs: config.outboundTimeout * 1000,
        maxBytes: config.maxMessageSize,
        log,
        mayBegin: (address) => !gate.full && gate.mayCome(address),
        // mail may go out before anything can be taken in
        onFrame: async (frame, socket) => (frames ? frames.take(frame, socket) : socket.close(1013, 'not ready')),
      }),
    ),
  );
  return {
    guard,
    web,
    gate,
    door,
    outbound,
    /** Opens the ports for messages, all or none. */
    async listen(
      inbound: readonly Listener[],
      messageService: Parameters<typeof httpInbound>[0],
      { face, paths }: Pick<InboundOptions, 'face' | 'paths'>,
    ): Promise<{ readonly port?: number; close(): Promise<unknown> }> {
      frames = takeFrames(messageService, gate, log);
      const sockets = wsInbound(frames, { ...heartbeat, gate, door, maxBytes: config.maxMessageSize, maxSockets: config.maxSockets, log });
      const messages = await openAll(inbound, async ({ host, port, posts, sockets: takes }) => {
        return await httpInbound(messageService, {
          ...{ host, port, posts, upgrade: takes ? sockets.upgrade : undefined },
          maxBytes: config.maxMessageSize,
          gate,
          door,
          mediaType,
          face,
          paths,
          // off or not: a payload of the 2018 Agent Protocol is then answered like everything that is no envelope
          plain: true,
          log,
        });
      });
      return {
        port: messages[0]?.port,
        close: () => Promise.allSettled([...messages.map((one) => one.close()), sockets.close()]),
      };
    },
    async close(): Promise<void> {
      await outbound.close();
      await web.close();
      door.close();
    },
  };
}

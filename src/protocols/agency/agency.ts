import { EndpointUrl } from '../../kernel/addresses.ts';
import { shortHash } from '../../kernel/jobs.ts';
import { problemText } from '../../kernel/message.ts';
import { type CommandInput, command, defineProtocol, type Load, NEW } from '../../kernel/protocol.ts';
import { Members } from '../../kernel/schema.ts';
import Type from '../../kernel/type.ts';
import { AGENCY_URI, edgeDeviceId, mediationId } from '../../mediation/names.ts';
import { agencyRelay } from '../../records/agency-relay.ts';
import { agencyRoute } from '../../records/agency-route.ts';
import { cloudAgent } from '../../records/cloud-agent.ts';
import { device } from '../../records/device.ts';
import { type EdgeDeviceValue, edgeDevice } from '../../records/edge-device.ts';
import { mediation, ONLY, routingKey } from '../../records/mediation.ts';
import {
  Config,
  cloudOfDevice,
  deviceOf,
  Generation,
  Label,
  MAX_UPDATES,
  MediaType,
  Name,
  outdated,
  routeLookups,
} from './agency-parts.ts';
import {
  configured,
  deviceAdded,
  deviceRemoved,
  devicesListed,
  expire,
  left,
  provision,
  purge,
  relay,
  routesUpdated,
} from './agency-steps.ts';
import {
  answered,
  answerIn,
  asking,
  askProvision,
  forgetRelay,
  provisionedHere,
  register,
  relayedThere,
  relayReturned,
  sendRelay,
  supersededHere,
  unregister,
} from './edge-steps.ts';

/** The number of names that one commit of `purge` removes. */
const PURGED = 500;

const Kind = Type.String({ maxLength: 50 });
const agencyDevice = { from: ['provisioned'], role: 'agency', about: deviceOf('agency'), load: cloudOfDevice };
const edge = { from: ['request', 'provisioned'], role: 'edge', about: deviceOf('edge') };
const ofEdge = { from: ['provisioned'], role: 'edge' };
const relayOf = (id: string): Record<string, Load> => ({ relay: { category: agencyRelay.category, id } });
const ask = {
  tag: 'agency',
  ...ofEdge,
  isAwaited: ({ value }: { readonly value: Readonly<EdgeDeviceValue> }) => value.asked !== undefined && value.error_msg === undefined,
};

/**
 * Cloud agents: the part of an agency beyond mediation (RFC 0211). An agency has no keys of its clients. Names of the 2018 Agent Protocol lead to a cloud agent as keys
 * lead to a mediated connection; each message under one is packed for every device of the owner. Mail of an edge goes out from the agency's address.
 */
export const agency = defineProtocol<EdgeDeviceValue>({
  name: 'agency',
  uris: [AGENCY_URI],
  roles: ['agency', 'edge'],
  binds: edgeDevice,
  messages: {
    provision: {
      schema: Type.Object({ label: Label, generation: Generation, code: Type.Optional(Type.Union([Name, Type.Null()])) }),
      from: [NEW, 'provisioned'],
      role: 'agency',
      about: deviceOf('agency'),
      load: (message, by) => ({
        ...cloudOfDevice(message, by),
        routing: { category: routingKey.category, id: ONLY },
        ...(typeof message.body.code === 'string'
          ? { coded: { category: cloudAgent.category, tag: 'code', equals: shortHash(message.body.code) } }
          : {}),
      }),
      step: provision,
    },
    'route-update': {
      schema: Type.Object({
        updates: Type.Array(
          Type.Object({
            kind: Kind,
            value: Type.String({ maxLength: 1000 }),
            action: Kind,
            expires_in: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 * 24 * 3600 })),
          }),
          { maxItems: 10_000 },
        ),
        generation: Generation,
      }),
      ...agencyDevice,
      load: (message, by) => ({ ...cloudOfDevice(message, by), ...routeLookups(message.body.updates, 'agency') }),
      step: routesUpdated,
    },
    relay: {
      schema: Type.Object({
        endpoint: EndpointUrl,
        media_type: Type.Optional(MediaType),
        payload: Type.String({ minLength: 1, pattern: '^[A-Za-z0-9+/]+={0,2}$' }),
        generation: Generation,
      }),
      ...agencyDevice,
      step: relay,
    },
    config: {
      schema: Type.Object({ set: Type.Optional(Config), generation: Generation }),
      ...agencyDevice,
      load: (message, by) => ({
        ...cloudOfDevice(message, by),
        ...(by === undefined ? {} : { push: { category: device.category, id: by } }),
      }),
      step: configured,
    },
    'device-add': { schema: Type.Object({ label: Label, generation: Generation }), ...agencyDevice, step: deviceAdded },
    // the first message of a copy on each new socket
    'still-current': {
      schema: Type.Object({ generation: Generation }),
      from: ['provisioned'],
      role: 'agency',
      about: deviceOf('agency'),
      repeatable: true,
      step: (ctx, message) => outdated(ctx, message) ?? {},
    },
    'device-list': { schema: Type.Object({}), ...agencyDevice, step: devicesListed },
    'device-remove': {
      schema: Type.Object({ device: Name, generation: Generation }),
      ...agencyDevice,
      load: (message, by) => ({
        ...cloudOfDevice(message, by),
        other: { category: edgeDevice.category, id: String(message.body.device).slice(0, 256) },
      }),
      step: deviceRemoved,
    },
    provisioned: {
      schema: Type.Object({
        endpoint: EndpointUrl,
        did: Name,
        verkey: Name,
        quotas: Type.Optional(Members(Type.Number())),
      }),
      ...edge,
      step: provisionedHere,
    },
    superseded: {
      schema: Type.Object({ generation: Type.Integer({ minimum: 1, maximum: 2 ** 48 }) }),
      ...edge,
      load: (_message, by) =>
        by === undefined ? ({} as Record<string, Load>) : { mediation: { category: mediation.category, id: mediationId('client', by) } },
      step: supersededHere,
    },
    'routes-updated': {
      schema: Type.Object({
        updated: Type.Array(Type.Object({ kind: Kind, value: Type.String({ maxLength: 1000 }), action: Kind, result: Kind }), {
          maxItems: 10_000,
        }),
      }),
      ...edge,
      load: (message) => routeLookups(message.body.updated, 'edge'),
      step: answered,
    },
    relayed: { schema: Type.Object({}), ...edge, load: ({ thid }) => relayOf(thid), step: relayedThere },
    'relay-failed': {
      schema: Type.Object({ reason: Type.Optional(Type.String({ maxLength: 2000 })) }),
      ...edge,
      load: ({ thid }) => relayOf(thid),
      step: relayReturned,
    },
    configuration: {
      schema: Type.Object({
        push: Type.Optional(Type.Boolean()),
        retention_days: Type.Optional(Type.Number()),
        legacy: Type.Optional(Type.Boolean()),
      }),
      ...edge,
      step: answerIn(({ push, retention_days, legacy }) => ({ configuration: { push, retention_days, legacy } })),
    },
    'device-added': {
      schema: Type.Object({ code: Name, expires_in: Type.Optional(Type.Integer({ minimum: 1 })) }),
      ...edge,
      step: answerIn(({ code }) => ({ device_code: code })),
    },
    devices: {
      schema: Type.Object({
        devices: Type.Array(
          Type.Object({
            device: Name,
            label: Label,
            added: Type.Optional(Type.String({ maxLength: 50 })),
            you: Type.Optional(Type.Boolean()),
          }),
          { maxItems: 100 },
        ),
      }),
      ...edge,
      step: answerIn(({ devices }) => ({ devices })),
    },
    // `kernel/inbound.ts` receives the inside, and runs no step
    payload: {
      schema: Type.Object({ id: Name, type: Type.String({ minLength: 1, maxLength: 512 }), message: Type.Optional(Type.Unknown()) }),
      from: '*',
      repeatable: true,
      carriesInside: ({ body: { id, type, message } }) => JSON.parse(JSON.stringify({ id, type, message })),
      step: () => ({}),
    },
  },
  problem: {
    schema: {},
    from: ['request', 'provisioned'],
    role: 'edge',
    step: (_ctx, message) => ({ record: { patch: { error_msg: problemText(message), asked: undefined } } }),
  },
  commands: {
    provision: command({
      route: 'POST /agency/provision/{conn_id}',
      tag: 'agency',
      summary: 'Ask the agency of a connection for a cloud agent',
      body: Type.Object({
        label: Type.Optional(Type.String({ maxLength: 200 })),
        generation: Generation,
        code: Type.Optional(Name),
      }),
      from: [NEW],
      connection: 'conn_id',
      load: (_input, _record, by): Record<string, Load> =>
        by === undefined ? {} : { device: { category: edgeDevice.category, id: edgeDeviceId('edge', by) } },
      step: askProvision,
    }),
    configure: command({
      route: 'POST /agency/devices/{device_id}/config',
      summary: 'Read and change how the agency keeps mail',
      body: Config,
      ...ask,
      step: asking('config'),
    }),
    'add-device': command({
      route: 'POST /agency/devices/{device_id}/add',
      summary: 'Get a code by which another device of the same owner joins the cloud agent',
      body: Type.Object({ label: Type.Optional(Type.String({ maxLength: 200 })) }),
      ...ask,
      step: asking('device-add'),
    }),
    'list-devices': command({
      route: 'POST /agency/devices/{device_id}/list',
      summary: 'List the devices of the cloud agent',
      body: Type.Object({}),
      ...ask,
      step: asking('device-list'),
    }),
    'remove-device': command({
      route: 'POST /agency/devices/{device_id}/remove',
      summary: 'Take a device out of the cloud agent',
      body: Type.Object({ device: Name }),
      ...ask,
      step: asking('device-remove'),
    }),
    register: command({
      body: Type.Object({
        routes: Type.Array(
          Type.Object({
            name: Name,
            kind: Type.Optional(Kind),
            expires: Type.Optional(Type.Number()),
            wallet: Type.Optional(Type.String()),
          }),
          { maxItems: MAX_UPDATES },
        ),
      }),
      ...ofEdge,
      load: ({ body }) => routeLookups(body.routes, 'edge', 'name'),
      step: register,
    }),
    unregister: command({ body: Type.Object({ names: Type.Array(Name) }), ...ofEdge, step: unregister }),
    relay: command({
      body: Type.Object({
        id: Type.String(),
        endpoint: Type.String(),
        media_type: Type.Optional(Type.String()),
        envelope: Type.String(),
        connection: Type.Optional(Type.String()),
        record: Type.Optional(Type.Object({ category: Type.String(), id: Type.String() })),
      }),
      ...ofEdge,
      step: sendRelay,
    }),
    'forget-relay': command({
      body: Type.Object({ relay: Type.String() }),
      from: [NEW, ...edgeDevice.states],
      load: ({ body }) => relayOf(body.relay),
      step: forgetRelay,
    }),
    // the last failure of a relayed message
    'relay-failed': command({
      body: Type.Object({ relay: Type.String(), reason: Type.String() }),
      from: ['provisioned'],
      role: 'agency',
      step: (_ctx, { body }) => ({ send: [{ type: 'relay-failed', thid: body.relay, body: { reason: body.reason } }] }),
    }),
    expire: command({
      body: Type.Object({ cloud: Type.String(), names: Type.Array(Type.String()) }),
      from: [NEW, 'provisioned'],
      load: ({ body }) => ({
        ...routeLookups(
          body.names.map((name) => ({ name })),
          'agency',
          'name',
        ),
        cloud: { category: cloudAgent.category, id: body.cloud },
      }),
      step: expire,
    }),
    leave: command({
      body: Type.Object({ connection: Type.String() }),
      from: [NEW, ...edgeDevice.states],
      load: ({ body }) => cloudOfDevice(undefined, body.connection),
      step: left,
    }),
    purge: command({
      body: Type.Object({ cloud: Type.Optional(Type.String()), edge: Type.Optional(Type.String()) }),
      from: [NEW, ...edgeDevice.states],
      pages: ({ body }: CommandInput<{ cloud?: string; edge?: string }>) => ({
        routes: {
          category: agencyRoute.category,
          query:
            body.cloud === undefined
              ? { connection: body.edge, role: 'edge', limit: PURGED }
              : { tags: { cloud_agent: body.cloud }, limit: PURGED },
        },
      }),
      step: purge,
    }),
  },
});

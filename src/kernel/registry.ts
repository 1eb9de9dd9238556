import type { TSchema } from 'typebox';
import { parseAgent2018Type } from '../didcomm/agent-2018-types.ts';
import { canonicalPrefix, OLD_PREFIX, PREFIX, parseMessageType } from '../didcomm/message-types.ts';
import { AppError } from '../errors.ts';
import type { JsonObject } from '../ports/json.ts';
import type { Translation } from './effects.ts';
import { type CredentialFormat, createFormats } from './format.ts';
import { EVENTS_GRANT } from './grants.ts';
import { type Attachable, type CommandStep, type Declared, type Feature, type MessageStep, NEW, type Protocol } from './protocol.ts';
import type { RecordDef, RecordValue } from './record.ts';
import { type Validator, validator } from './schema.ts';

/** A message type as the registry knows it: whose step takes it and the check its body passes first. */
export interface KnownMessage {
  readonly protocol: Protocol;
  readonly name: string;
  readonly step: MessageStep;
  readonly body: Validator<TSchema>;
  /** The newest minor version that is supported. */
  readonly minor: number;
}

/** A command that a controller can call. */
export interface KnownCommand {
  readonly protocol: Protocol;
  readonly name: string;
  readonly step: CommandStep;
  readonly body?: Validator<TSchema>;
  readonly query?: Validator<TSchema>;
}

/** Why a type has no step: it is unknown, or its family is known in another major version. */
export type TypeMiss = 'unknown-type' | 'unknown-version';

/** Everything that was registered, frozen before the first message. */
export interface Registry extends Declared {
  readonly protocols: readonly Protocol[];
  readonly records: ReadonlyMap<string, RecordDef>;
  message(type: string): KnownMessage | TypeMiss;
  /** The protocol of a message type, also of one that comes in no envelope, as an invitation. */
  protocolOf(type: string): Protocol | undefined;
  /** Whether some registered protocol has its types under this one's prefix: a family that is not supported may still mean one. */
  kindred(type: string): boolean;
  /**
   * A DIDComm message in the terms of the 2018 Agent Protocol: its whole type and content; null where it is dropped silently, undefined where it has no
   * such message.
   */
  translation(message: JsonObject): Translation | null | undefined;
  command(protocol: string, name: string): KnownCommand;
  /** The command of this name, where the protocol that drives a record has one: several protocols that bind one kind may share its routes. */
  commandOf(owner: Protocol | undefined, name: string): KnownCommand | undefined;
  readonly routed: readonly KnownCommand[];
  protocol(name: string): Protocol;
  /** Commands with a route of the public HTTP face. */
  readonly publicCommands: readonly KnownCommand[];
  /** Categories whose records have threads of their own. */
  readonly threaded: readonly string[];
  /** The supported protocols whose URI is `match`, or begins as it does before its `*` (RFC 0031). */
  features(match: string): readonly Feature[];
  /** The protocol that drives a record: the one it names, or the only one that binds its kind. */
  owner(category: string, value: RecordValue): Protocol | undefined;
}

/** Messages, commands and results of all protocols, by name. @throws Error where two claim one name */
function indexOf(protocols: readonly Protocol[], extraRecords: readonly RecordDef[], formats: ReturnType<typeof createFormats>) {
  const messages = new Map<string, KnownMessage>();
  const families = new Set<string>();
  const versions = new Map<string, Protocol>();
  const prefixes = new Set<string>();
  const commands = new Map<string, KnownCommand>();
  const byName = new Map<string, Protocol>();
  const records = new Map<string, RecordDef>();
  const routes = new Set<string>();
  const handshakes = new Map<string, string>();
  const aliases = new Map<string, string>();
  const stateful = new Map<string, Protocol[]>();
  const translations = new Map<string, ((message: JsonObject) => Translation) | null>();

  const addRecord = (def: RecordDef): void => {
    const known = records.get(def.category);
    if (known && known !== def) throw new Error(`two record kinds are stored as ${def.category}`);
    records.set(def.category, def);
  };
  for (const def of extraRecords) addRecord(def);

  for (const protocol of protocols) {
    if (byName.has(protocol.name)) throw new Error(`two protocols are named ${protocol.name}`);
    byName.set(protocol.name, protocol);
    addRecord(protocol.binds as RecordDef);
    if (!protocol.stateless) stateful.set(protocol.binds.category, [...(stateful.get(protocol.binds.category) ?? []), protocol]);
    for (const [type, translate] of Object.entries(protocol.translate ?? {}))
      translations.set(
        type,
        translate &&
          ((message) => {
            const { type: name, body } = translate(message);
            return { type: `${protocol.uris[0]}/${name}`, body };
          }),
      );
    if (protocol.handshake) {
      const versions = protocol.uris.filter((uri) => uri.startsWith(PREFIX)).map((uri) => uri.slice(PREFIX.length));
      for (const version of versions) handshakes.set(version, protocol.name);
      // a name without a version means the oldest, as in ACA-Py
      for (const name of protocol.handshake.names) aliases.set(name, versions.at(-1)!);
    }
    const newest = protocol.uris[0] && typeOf(`${protocol.uris[0]}/x`);
    const prefix = protocol.uris[0] && parseMessageType(`${protocol.uris[0]}/x`)?.prefix;
    if (prefix) prefixes.add(canonicalPrefix(prefix));
    for (const { family, major, minor } of newest ? [newest, ...(protocol.spellings ?? []).map((uri) => typeOf(`${uri}/x`)!)] : []) {
      families.add(family);
      if (!versions.has(`${family}/${major}`)) versions.set(`${family}/${major}`, protocol);
      for (const [name, step] of Object.entries(protocol.messages)) {
        const key = `${family}/${major}/${name}`;
        const other = messages.get(key);
        if (other) throw new Error(`message type ${key} is registered by ${other.protocol.name} and ${protocol.name}`);
        messages.set(key, { protocol, name, step, body: validator(step.schema), minor });
      }
    }
    for (const [name, step] of Object.entries(protocol.commands ?? {})) {
      const known: KnownCommand = {
        protocol,
        name,
        step,
        body: step.body ? validator(typeof step.body === 'function' ? step.body(formats) : step.body) : undefined,
        query: step.query ? validator(step.query) : undefined,
      };
      if (step.route) {
        const place = `${step.face ?? 'admin'} ${step.route}`;
        if (routes.has(place)) throw new Error(`route ${step.route} is registered twice`);
        routes.add(place);
      }
      commands.set(`${protocol.name} ${name}`, known);
    }
  }
  return { messages, families, versions, prefixes, commands, byName, records, handshakes, aliases, stateful, translations };
}

/**
 * Builds the registry.
 * @throws Error when two protocols claim one message type or one route, or two formats one name or identifier: a start-up error, not a run-time one.
 */
export function createRegistry(
  protocols: readonly Protocol[],
  extraRecords: readonly RecordDef[] = [],
  credentialFormats: readonly CredentialFormat[] = [],
): Registry {
  const formats = createFormats(credentialFormats);
  const { messages, families, versions, prefixes, commands, byName, records, handshakes, aliases, stateful, translations } = indexOf(
    protocols,
    extraRecords,
    formats,
  );

  const messageOf = (type: string): KnownMessage | TypeMiss => {
    const parsed = typeOf(type);
    if (!parsed) return 'unknown-type';
    const known = messages.get(`${parsed.family}/${parsed.major}/${parsed.name}`);
    if (known) return known;
    return families.has(parsed.family) && !versions.has(`${parsed.family}/${parsed.major}`) ? 'unknown-version' : 'unknown-type';
  };

  return Object.freeze({
    formats,
    grants: new Set([EVENTS_GRANT, ...[...messages.values()].flatMap(({ step }) => step.grant ?? [])]),
    handshakes,
    handshakeOf(name: string): string | undefined {
      const prefix = [PREFIX, OLD_PREFIX].find((known) => name.startsWith(known)) ?? '';
      const bare = aliases.get(name.toLowerCase()) ?? name.slice(prefix.length);
      return handshakes.has(bare) ? bare : undefined;
    },
    attachable: (name: string): readonly Attachable[] =>
      [...records.values()].flatMap((def) => (def.attachable?.as === name ? [{ def, ...def.attachable }] : [])),
    standsAlone(type: string): boolean {
      const known = messageOf(type);
      return typeof known !== 'string' && known.step.standsAlone === true && known.step.from.includes(NEW);
    },
    inputFault(protocol: string, name: string, body: JsonObject): string | undefined {
      const known = commands.get(`${protocol} ${name}`);
      if (!known?.body) return Object.keys(body).length > 0 ? 'nothing is taken here' : undefined;
      try {
        known.body.parse(body, 'unprocessable');
      } catch (error) {
        return (error as AppError).message;
      }
    },
    protocols: Object.freeze([...protocols]),
    records,
    routed: Object.freeze([...commands.values()].filter(({ step }) => step.route && step.face !== 'public')),
    publicCommands: Object.freeze([...commands.values()].filter(({ step }) => step.route && step.face === 'public')),
    threaded: Object.freeze([...stateful.keys()]),
    message: messageOf,
    protocolOf(type: string): Protocol | undefined {
      const parsed = typeOf(type);
      return parsed && versions.get(`${parsed.family}/${parsed.major}`);
    },
    kindred(type: string): boolean {
      const parsed = parseMessageType(type);
      return parsed !== undefined && prefixes.has(canonicalPrefix(parsed.prefix));
    },
    translation(message: JsonObject): Translation | null | undefined {
      const translate = translations.get(String(message['@type']));
      return translate === undefined || translate === null ? translate : translate(message);
    },
    command(protocol: string, name: string): KnownCommand {
      const known = commands.get(`${protocol} ${name}`);
      if (!known) throw new AppError('internal', `no command ${name} in ${protocol}`);
      return known;
    },
    commandOf: (owner: Protocol | undefined, name: string): KnownCommand | undefined => owner && commands.get(`${owner.name} ${name}`),
    protocol(name: string): Protocol {
      const protocol = byName.get(name);
      if (!protocol) throw new AppError('internal', `no protocol ${name}`);
      return protocol;
    },
    features(match: string): readonly Feature[] {
      const all = [
        ...new Map(protocols.flatMap(({ uris, roles }) => uris.map((uri): [string, Feature] => [uri, { uri, roles }]))).values(),
      ];
      const stem = match.endsWith('*') ? match.slice(0, -1) : undefined;
      return all.filter(({ uri }) => (stem === undefined ? uri === match : uri.startsWith(stem)));
    },
    owner(category: string, value: RecordValue): Protocol | undefined {
      const candidates = stateful.get(category) ?? [];
      return candidates.find((protocol) => protocol.name === value.protocol) ?? candidates[0];
    },
  });
}

/**
 * A type's family, major version and name. The prefix is part of the family: another organisation's family of the same name is another one. Only the two prefixes
 * of Aries are one. In the 2018 Agent Protocol the organisation is part of it in the same way.
 */
function typeOf(type: string): { family: string; major: number; minor: number; name: string } | undefined {
  if (!type.startsWith('urn:')) {
    const parsed = parseMessageType(type);
    return parsed && { ...parsed, family: `${canonicalPrefix(parsed.prefix)}${parsed.family}` };
  }
  const named = parseAgent2018Type(type);
  return (
    named && { family: `urn:${named.domain}/${named.family ?? ''}`, major: named.major ?? 0, minor: named.minor ?? 0, name: named.name }
  );
}

import type { Nodes } from './algod.ts';
import { DidAlgoError } from './errors.ts';
import { headBox, type ObjectId, type ObjectType, objectBox, parseId, segmentBox } from './identifiers.ts';
import { type AnonCredsObject, partsOf, unpackObject } from './objects.ts';
import { checkSize, openLog, revocationList, stateAt } from './status-log.ts';

const MAX_OBJECTS = 500;

/** A status list in its AnonCreds form; `timestamp` is the time of its record. */
export interface StatusList {
  issuerId: string;
  revRegDefId: string;
  revocationList: number[];
  currentAccumulator: string;
  timestamp: number;
}

export interface Reader {
  /** @throws DidAlgoError */
  object(text: string, type: ObjectType, fetch: typeof globalThis.fetch): Promise<AnonCredsObject>;
  /** The status list in force at `time`, in unix seconds, or the last one. @throws DidAlgoError */
  statusList(text: string, time: number | undefined, fetch: typeof globalThis.fetch): Promise<StatusList>;
}

/** A copy: callers may change what they get. */
const copyOf = (object: AnonCredsObject): AnonCredsObject => JSON.parse(JSON.stringify(object));

const idOf = (text: string, type: ObjectType): ObjectId => {
  const id = parseId(text);
  if (id.type !== type) throw new DidAlgoError('identifier-invalid', `${text} is not the identifier of a ${type}`);
  return id;
};

/** Reads objects, which never change and are remembered, and states, which are read each time. */
export const createReader = (nodes: Nodes): Reader => {
  const objects = new Map<string, AnonCredsObject>();

  const object: Reader['object'] = async (text, type, fetch) => {
    const id = idOf(text, type);
    const known = objects.get(text);
    if (known) return copyOf(known);
    const read = (name: Uint8Array): Promise<Uint8Array | undefined> => nodes.box(id.network, id.application, name, fetch);
    const box = await read(objectBox(id));
    const parts = await Promise.all(partsOf(box).map((oid) => read(objectBox(id, oid))));
    const found = unpackObject(id, box, parts);
    if (found === undefined) throw new DidAlgoError('object-not-found', 'there is no such object');
    const [oldest] = objects.keys();
    if (objects.size >= MAX_OBJECTS && oldest !== undefined) objects.delete(oldest);
    objects.set(text, found);
    return copyOf(found);
  };

  return {
    object,
    statusList: async (text, time, fetch) => {
      const id = idOf(text, 'REV_REG_DEF');
      const { value } = (await object(text, 'REV_REG_DEF', fetch)) as { value?: { maxCredNum?: unknown } };
      const size = checkSize(value?.maxCredNum);
      const read = (name: Uint8Array): Promise<Uint8Array | undefined> => nodes.box(id.network, id.application, name, fetch);
      const log = await openLog({ head: () => read(headBox(id)), segment: (number) => read(segmentBox(id, number)) });
      if (log === undefined) throw new DidAlgoError('object-not-found', 'the registry has no status log');
      const state = await stateAt(log, size, time);
      return {
        issuerId: id.did,
        revRegDefId: text,
        revocationList: revocationList(state.revoked, size),
        currentAccumulator: state.accumulator,
        timestamp: state.time,
      };
    },
  };
};

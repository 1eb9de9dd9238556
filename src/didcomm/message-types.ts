/** A message type URI in its parts (RFC 0003). */
export interface MessageType {
  /** The document URI with its closing slash or semicolon part, as written: `https://didcomm.org/` or `did:sov:BzCbsNYhMrjHiqZDTUASHg;spec/`. */
  prefix: string;
  family: string;
  major: number;
  minor: number;
  name: string;
}

export const PREFIX = 'https://didcomm.org/';
/** The prefix from before RFC 0348; means the same. */
export const OLD_PREFIX = 'did:sov:BzCbsNYhMrjHiqZDTUASHg;spec/';

/** The prefix of the toolbox families (`aries-toolbox`), by which owners drive agents. */
export const TOOLBOX_PREFIX = 'https://github.com/hyperledger/aries-toolbox/tree/master/docs/';

/** The prefix of the protocols that are this agent's own: agency, agent-config, hub-grant, wallet-backup, recovery-share. */
export const OWN_PREFIX = 'https://flexid.dev/didcomm/';

const MAX_LENGTH = 256;
const TAIL = /^([A-Za-z0-9][A-Za-z0-9._-]*)\/(0|[1-9][0-9]{0,3})\.(0|[1-9][0-9]{0,3})(?:\/([A-Za-z0-9][A-Za-z0-9._-]*))?$/;
const OTHER_PREFIX = /^(?:https:\/\/[a-z0-9.-]+(?::[0-9]+)?\/(?:[A-Za-z0-9._~-]+\/)*|did:[a-z0-9]+:[A-Za-z0-9._:-]+;spec\/)$/;

function parse(uri: unknown, withName: boolean): MessageType | undefined {
  if (typeof uri !== 'string' || uri.length > MAX_LENGTH) return undefined;
  let cut: number;
  if (uri.startsWith(PREFIX)) cut = PREFIX.length;
  else if (uri.startsWith(OLD_PREFIX)) cut = OLD_PREFIX.length;
  else {
    // Family, version and name are the last segments.
    cut = uri.length;
    for (let segments = withName ? 3 : 2; segments > 0 && cut > 0; segments--) cut = uri.lastIndexOf('/', cut - 1);
    if (cut++ < 1 || !OTHER_PREFIX.test(uri.slice(0, cut))) return undefined;
  }
  const match = TAIL.exec(uri.slice(cut));
  if (!match || (match[4] === undefined) === withName) return undefined;
  return { prefix: uri.slice(0, cut), family: match[1]!, major: Number(match[2]), minor: Number(match[3]), name: match[4] ?? '' };
}

/** A message type such as `https://didcomm.org/trust_ping/1.0/ping`; undefined when it is none. */
export const parseMessageType = (uri: unknown): MessageType | undefined => parse(uri, true);

/** A protocol such as `https://didcomm.org/trust_ping/1.0`; its `name` is empty. Undefined when it is none. */
export const parseProtocol = (uri: unknown): MessageType | undefined => parse(uri, false);

/** The prefix that stands for all its spellings: both Aries prefixes are one. */
export const canonicalPrefix = (prefix: string): string => (prefix === OLD_PREFIX ? PREFIX : prefix);

/**
 * RFC 0003, semver rules: an agent that supports a major version of a family understands its messages of every minor version; features of a newer
 * minor version are ignored by the older side.
 */
export const compatible = (ours: MessageType, theirs: MessageType): boolean =>
  canonicalPrefix(ours.prefix) === canonicalPrefix(theirs.prefix) && ours.family === theirs.family && ours.major === theirs.major;

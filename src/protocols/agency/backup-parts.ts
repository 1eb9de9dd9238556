import { didKeyToVerkey } from '../../didcomm/encoding.ts';
import { verifyBytes } from '../../didcomm/keys.ts';
import { OWN_PREFIX } from '../../didcomm/message-types.ts';
import type { Incoming } from '../../kernel/protocol.ts';
import Type from '../../kernel/type.ts';
import type { BackupUpload, KeptBackup } from '../../records/cloud-agent.ts';

export const BACKUP_URI = `${OWN_PREFIX}wallet-backup/1.0`;

/** The characters of a part, in base64, and how many parts a backup has at most. */
const PART_CHARS = 131_072;
const PART_BYTES = (PART_CHARS / 4) * 3;
const MAX_PARTS = 1024;

const whole = (maximum: number) => Type.Integer({ minimum: 1, maximum });
const Sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' });
export const Data = Type.String({ minLength: 4, maxLength: PART_CHARS, pattern: '^[A-Za-z0-9+/]+={0,2}$' });
export const Controller = Type.String({ maxLength: 60, pattern: '^did:key:z6Mk[1-9A-HJ-NP-Za-km-z]+$' });
/** Of `statement`, in base64url. */
export const Signature = Type.String({ pattern: '^[A-Za-z0-9_-]{86}$' });
/** A backup as it is stored. */
export const Described = Type.Object({
  generation: whole(2 ** 48),
  sha256: Sha256,
  bytes: whole(MAX_PARTS * PART_BYTES),
  parts: whole(MAX_PARTS),
});
export const Put = Type.Object({ controller: Controller, ...Described.properties, part: whole(MAX_PARTS), data: Data });
export const Open = Type.Object({ controller: Controller, signature: Signature });
export const List = Type.Object({ controller: Controller, signature: Type.Optional(Signature) });
export const Get = Type.Object({ controller: Controller, signature: Signature, sha256: Sha256, part: whole(MAX_PARTS) });

/** One part of a backup, as a `put` has it. */
export interface Part {
  readonly controller: string;
  readonly generation: number;
  readonly sha256: string;
  readonly bytes: number;
  readonly parts: number;
  readonly part: number;
  /** Base64. */
  readonly data: string;
}

/**
 * The text that the key of the words signs, good on one connection alone: an agency that gets the signature can use it nowhere else.
 * @param edge the verkey of the edge on the connection
 * @param agency that of the agency
 */
export const statement = (controller: string, edge: string, agency: string): string => `${BACKUP_URI} ${controller} ${edge} ${agency}`;

/** Whether a message comes from who has the words of its `controller`: its signature is of the keys that sealed and opened it. */
export function isProven({ body, sender, recipient }: Incoming): boolean {
  const { controller, signature } = body;
  if (typeof controller !== 'string' || typeof signature !== 'string' || !sender || !recipient) return false;
  const verkey = didKeyToVerkey(controller);
  if (!verkey) return false;
  const text = Buffer.from(statement(controller, sender, recipient));
  try {
    return verifyBytes(Buffer.from(signature, 'base64url'), text, verkey);
  } catch {
    return false;
  }
}

/** The name of the bytes of a part. */
export const partName = (upload: string, part: number): string => `backup/${upload}/${part}`;

/** A backup for whom it belongs to. */
export const described = ({ generation, sha256, bytes, parts }: KeptBackup | BackupUpload | Part) => ({
  generation,
  sha256,
  bytes,
  parts,
});

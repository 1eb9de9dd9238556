import type { Attachment } from '../didcomm/attachments.ts';
import { attachmentJson } from '../didcomm/attachments.ts';

/** How many messages, and bytes of them, go in one answer to a peer that fetches its mail: the first always does. */
export const MAX_BATCH = 100;
export const MAX_BATCH_BYTES = 1 << 20;

/** The envelopes among attachments, as JSON text. */
export function envelopesOf(attachments: readonly Attachment[] = []): string[] {
  return attachments.flatMap((attachment) => {
    try {
      const value = attachmentJson(attachment);
      return typeof value === 'object' && value !== null ? [JSON.stringify(value)] : [];
    } catch {
      return [];
    }
  });
}

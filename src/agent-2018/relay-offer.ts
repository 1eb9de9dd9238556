import { readFileSync } from 'node:fs';
import { ArgumentParser } from 'argparse';
import { looksLikeVerkey } from '../didcomm/encoding.ts';
import { encodeText, packBase, payloadOf } from '../didcomm/envelope-2018.ts';
import { OfferRefused, readOffer } from '../didcomm/offer-2018.ts';

/** Long enough for an agent that is busy; somebody waits for it with a QR code in the hand. */
const PATIENCE_MS = 20_000;
const MEDIA_TYPE = 'text/plain; charset=us-ascii';

const parser = (): ArgumentParser => {
  const made = new ArgumentParser({
    prog: './flexid relay-offer',
    description:
      'Hands a connection offer of the 2018 Agent Protocol on to the agent that is to accept it. Needs no wallet and no database.',
    epilog:
      'Ends with 0 when the agent took it (202), else with 1 and the reason. The answer has neither: the outcome of the offer is in its records and webhooks.',
  });
  made.add_argument('file', {
    metavar: 'FILE',
    help: 'the offer: its JSON, its base64url text, its URL, or a sealed payload; - reads standard input',
  });
  made.add_argument('--to', { metavar: 'URL', required: true, help: 'the endpoint of the accepting agent' });
  made.add_argument('--verkey', {
    metavar: 'KEY',
    help: "the accepting agent's endpoint key, from its GET /legacy/endpoint, which the offer is sealed to; not for a payload that is sealed",
  });
  return made;
};

/** The reason of a failure, in one sentence. */
class Unable extends Error {}
const unable = (why: string): never => {
  throw new Unable(why);
};

function bytesOf(file: string): Buffer {
  try {
    return readFileSync(file === '-' ? 0 : file);
  } catch (error) {
    return unable(`${file} cannot be read: ${(error as Error).message}`);
  }
}

/** The sealed text to be posted, and what it is. */
function payload(bytes: Buffer, verkey: string | undefined): { text: string; what: string } {
  let offer: ReturnType<typeof readOffer>;
  try {
    offer = readOffer(bytes.toString('utf8'));
  } catch (error) {
    if (!(error instanceof OfferRefused)) throw error;
    let sealed: Buffer;
    try {
      sealed = payloadOf(bytes);
    } catch {
      return unable(error.message);
    }
    if (verkey !== undefined) unable('The payload is sealed already: leave --verkey out');
    return { text: encodeText(sealed), what: 'a sealed payload' };
  }
  const { id, type, message } = offer;
  if (message.offer_nonce !== id) unable('The offer has an id that is not its offer_nonce');
  if (message.verkey !== undefined && !(typeof message.verkey === 'string' && looksLikeVerkey(message.verkey)))
    unable('The offer has a verkey that is none');
  if (verkey === undefined) return unable('The offer is in clear: --verkey must name the endpoint key of the agent that it goes to');
  try {
    return { text: packBase(verkey, { id, type, message }), what: `the offer ${id} of ${message.did}` };
  } catch {
    return unable('--verkey is no verkey: 32 bytes in base58, a key of Ed25519');
  }
}

async function post(to: string, text: string): Promise<number> {
  if (!/^https?:$/.test(URL.parse(to)?.protocol ?? '')) unable('--to must be an http or https URL');
  try {
    const { status } = await fetch(to, {
      method: 'POST',
      headers: { 'content-type': MEDIA_TYPE },
      body: text,
      // another address than the one that was asked for gets nothing
      redirect: 'manual',
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    return status;
  } catch (error) {
    const { cause, message } = error as Error;
    return unable(`${to} cannot be reached: ${cause instanceof Error && cause.message ? cause.message : message}`);
  }
}

const REASONS: Readonly<Record<number, string>> = {
  400: 'it is sealed to none of its endpoint keys, or the 2018 Agent Protocol is off there',
  413: 'it is too large',
  415: 'it takes no such messages',
  429: 'too many messages',
  503: 'it takes nothing at the moment',
};

/**
 * `./flexid relay-offer FILE --to URL [--verkey KEY]`: the specification's slim app, which makes of a QR code or a text message what an agent takes.
 * @returns the exit code: 0 for an offer that was taken
 */
export async function relayOffer(argv: readonly string[]): Promise<number> {
  const { file, to, verkey } = parser().parse_args([...argv]) as { file: string; to: string; verkey?: string };
  try {
    const { text, what } = payload(bytesOf(file), verkey);
    const status = await post(to, text);
    if (status !== 202) return unable(`${to} answered ${status} to ${what}${REASONS[status] ? `: ${REASONS[status]}` : ''}`);
    process.stdout.write(`${to} took ${what}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof Unable)) throw error;
    process.stderr.write(`flexid relay-offer: ${error.message}\n`);
    return 1;
  }
}

import { AppError } from '../errors.ts';
import Type from './type.ts';

const HOST_AND_REST = '(?:\\[[0-9A-Fa-f:.]+\\]|[^\\s/?#@:[\\]]+)(?::[0-9]{1,5})?(?:[/?#]\\S*)?$';

/** An address that controllers give for others to write to: http, https, ws or wss, without a user's name and password. */
export const EndpointUrl = Type.String({ maxLength: 2000, pattern: `^(?:[Hh][Tt][Tt][Pp]|[Ww][Ss])[Ss]?://${HOST_AND_REST}` });

/** The address of a picture, the picture itself as a data URL, or nothing. */
export const ImageUrl = Type.String({
  maxLength: 1000,
  pattern: `^$|^[Dd][Aa][Tt][Aa]:image/\\S+$|^[Hh][Tt][Tt][Pp][Ss]?://${HOST_AND_REST}`,
});

/** A webhook that is a message to the peer of a connection: its id stands after the scheme. */
const CONNECTION_URL = /^didcomm:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

/** The connection whose peer has its events by message, of such a URL. */
export const connectionIn = (url: string): string | undefined => CONNECTION_URL.exec(url)?.[1];

/** The replacement of a secret part of a URL that is shown. */
const HIDDEN = '***';

/** A URL without what only its receiver may know: the key after `#`, and a user's name and password. Text that is no URL is shown up to its `#`. */
export function shownUrl(url: string): string {
  const [address = '', key] = url.split(/#(.*)/s);
  const shown = address.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/?]*@/i, `$1${HIDDEN}@`);
  return key === undefined ? shown : `${shown}#${HIDDEN}`;
}

/**
 * A webhook's URL as it is kept: trimmed, with its key after `#` as it was given.
 * @throws AppError `unprocessable` for what a webhook cannot be sent to
 */
export function webhookUrl(given: string): string {
  const text = given.trim();
  const [address = ''] = text.split('#');
  const refuse = (why: string): AppError =>
    new AppError('unprocessable', `${shownUrl(text).slice(0, 200)} is no address for webhooks: ${why}`);
  if (CONNECTION_URL.test(text)) return text;
  if (!/^(?:http|ws)s?:\/\//i.test(address))
    throw refuse('it must begin with http://, https://, ws:// or wss://, or be didcomm: and the id of a connection');
  if (/[\s\p{Cc}]/u.test(text) || !URL.canParse(address)) throw refuse('it is not a URL');
  // the key travels in a header
  if (/[^\x21-\x7e]/.test(text.slice(address.length))) throw refuse('its key holds characters that no header can');
  return text;
}

/**
 * A new list of webhooks: a URL that was shown without its secret parts, and comes back so, means the one that it was shown for.
 * @throws AppError `unprocessable`
 */
export function webhookUrls(given: readonly string[], before: readonly string[] = []): string[] {
  // two with one address and different keys are shown alike: they keep their order
  const left = [...before];
  return given.map((one) => {
    const at = left.findIndex((url) => shownUrl(url) === one.trim());
    if (at >= 0) return left.splice(at, 1)[0]!;
    if (one.includes(HIDDEN))
      throw new AppError(
        'unprocessable',
        `${one.trim().slice(0, 200)} was shown without its key, and no webhook of the wallet is meant by it`,
      );
    return webhookUrl(one);
  });
}

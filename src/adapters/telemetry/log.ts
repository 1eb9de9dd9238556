import { pino } from 'pino';
import type { Log } from '../../ports/log.ts';

/** Members that are never written, wherever they stand. The code gives the log none of them; this is the second fence. */
const SECRETS = ['secret', 'secretKey', 'seed', 'walletKey', 'mnemonic', 'apiKey', 'password', 'link_secret', 'private'];

/** JSON lines on standard error, so that standard output is the command's own. */
export function jsonLog(level: string): Log {
  return pino(
    {
      level,
      base: undefined,
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: { paths: SECRETS.flatMap((name) => [name, `*.${name}`]), censor: '[removed]' },
      formatters: { level: (name) => ({ level: name }) },
    },
    pino.destination({ dest: 2, sync: true }),
  );
}

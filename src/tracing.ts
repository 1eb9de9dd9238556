import type { openAnonCreds } from './adapters/anoncreds/anoncreds.ts';
import type { Config } from './config/settings.ts';
import { ConfigError } from './config/values.ts';
import type { Ledger } from './ports/ledger.ts';
import type { Log } from './ports/log.ts';
import type { Database } from './ports/store.ts';
import { NO_TRACE } from './ports/trace.ts';
import type { Outbound } from './ports/transport.ts';
import { VERSION } from './version.ts';

/** The wrappers that put spans around the ports: none without `--otlp-endpoint`. */
export async function tracing(config: Config, instance: string, log: Log) {
  const same = <T>(port: T): T => port;
  if (config.otlpEndpoint === undefined)
    return {
      trace: NO_TRACE,
      database: same<Database>,
      ledgered: same<Ledger | undefined>,
      cryptographic: same<Cryptographer>,
      outgoing: same<Outbound>,
    };
  const { otlpEndpoint: endpoint, otlpShare: share } = config;
  if (!/^https?:\/\//.test(endpoint) || !URL.canParse(endpoint)) throw new ConfigError('--otlp-endpoint takes a URL, http or https');
  if (share > 1) throw new ConfigError('--otlp-share takes a number from 0 to 1');
  // loaded here, not above: the SDK is larger than all the rest, and most agents run without it
  const [{ otlpTrace }, traced] = await Promise.all([import('./adapters/telemetry/otlp.ts'), import('./adapters/telemetry/traced.ts')]);
  const trace = otlpTrace({ endpoint, share, version: VERSION, instance, log });
  return {
    trace,
    database: (db: Database) => traced.tracedDatabase(db, trace),
    ledgered: (ledger: Ledger | undefined) => ledger && traced.tracedLedger(ledger, trace),
    cryptographic: (anoncreds: Cryptographer) => traced.tracedAnonCreds(anoncreds, trace),
    outgoing: (outbound: Outbound) => traced.tracedOutbound(outbound, trace),
  };
}

type Cryptographer = ReturnType<typeof openAnonCreds>;

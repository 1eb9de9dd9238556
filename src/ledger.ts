import { algorandLedger } from './adapters/algorand/algorand.ts';
import type { Config } from './config/settings.ts';
import { asSetting, ConfigError } from './config/values.ts';
import type { Ledger } from './ports/ledger.ts';

/** The ledger that the settings name; undefined where they name none. @throws ConfigError */
export function ledgerOf(config: Config): Ledger | undefined {
  if (config.noLedger || config.algodUrl === undefined) return undefined;
  const { algodUrl, algorandNetwork: network, algorandAppId } = config;
  if (network !== 'mainnet' && network !== 'testnet' && network !== 'betanet' && network !== 'custom')
    throw new ConfigError(`--algorand-network ${network} is unknown`);
  if (algorandAppId === undefined) throw new ConfigError('--algod-url needs --algorand-app-id');
  return asSetting('--algod-url, --sponsor-mnemonic', () =>
    algorandLedger({
      algodUrl,
      token: config.algodToken,
      appId: BigInt(algorandAppId),
      network,
      genesisHash: config.algorandGenesisHash,
      sponsorMnemonic: config.readOnlyLedger ? undefined : config.sponsorMnemonic,
    }),
  );
}

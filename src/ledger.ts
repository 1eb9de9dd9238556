import type { Config } from './config/settings.ts';
import { asSetting, ConfigError } from './config/values.ts';
import type { Ledger } from './ports/ledger.ts';

/** The ledger that the settings name; undefined where they name none. @throws ConfigError */
export async function ledgerOf(config: Config): Promise<Ledger | undefined> {
  const { algodUrls, algodTokens, algodQuorum: quorum, algorandNetwork: network, algorandAppId } = config;
  if (config.noLedger || algodUrls.length === 0) return undefined;
  if (network !== 'mainnet' && network !== 'testnet' && network !== 'betanet' && network !== 'custom')
    throw new ConfigError(`--algorand-network ${network} is unknown`);
  if (algorandAppId === undefined) throw new ConfigError('--algod-url needs --algorand-app-id');
  // Algorand's library is a fifth of all that an agent loads
  const { algorandLedger } = await import('./adapters/algorand/algorand.ts');
  return asSetting('--algod-url, --algod-quorum, --sponsor-mnemonic', () =>
    algorandLedger({
      algodUrl: algodUrls,
      token: algodTokens,
      quorum,
      appId: BigInt(algorandAppId),
      network,
      genesisHash: config.algorandGenesisHash,
      sponsorMnemonic: config.readOnlyLedger ? undefined : config.sponsorMnemonic,
    }),
  );
}

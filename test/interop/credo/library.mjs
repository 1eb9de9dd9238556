import { createRequire } from 'node:module';
import { anoncreds } from '@hyperledger/anoncreds-nodejs';

/** The AnonCreds library. To be imported before Credo's own AnonCreds module, which takes the library that is registered by the time it is read. */

createRequire(import.meta.url)('@hyperledger/anoncreds-shared').registerAnoncreds({ lib: anoncreds });

export { anoncreds };

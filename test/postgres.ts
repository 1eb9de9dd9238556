export { type PostgresServer, startPostgres } from '../src/adapters/embedded-postgres.ts';

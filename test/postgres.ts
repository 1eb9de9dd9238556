export { type PostgresServer, startPostgres } from '../src/adapters/postgres/embedded.ts';
